"""The controller: the right way, inside its bounds, to rest inside the constraint."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntprune.methods.ntp.controller import Controller


@given(allowed=st.floats(0, 20), strength=st.floats(0.05, 20), drop=st.floats(-50, 100))
def test_it_moves_the_right_way(allowed: float, strength: float, drop: float) -> None:
    control = Controller(allowed, strength=strength)
    aim = control.aim * allowed
    after = control.update(drop)
    assert after == control.strength
    if drop > aim + 1e-6:
        assert after < strength or after == control.weakest
    if drop < aim - 1e-6:
        assert after > strength or after == control.strongest
    assert control.aim < 1


@given(allowed=st.floats(0, 10), drops=st.lists(st.floats(-100, 100), max_size=40))
def test_it_stays_within_its_bounds(allowed: float, drops: list[float]) -> None:
    control = Controller(allowed)
    for drop in drops:
        assert control.weakest <= control.update(drop) <= control.strongest


@pytest.mark.parametrize("strength", [1.0, 5.0])
def test_it_reaches_both_bounds(strength: float) -> None:
    control = Controller(1.0, strength=strength)
    for _ in range(60):
        control.update(-5.0)
    assert control.strength == control.strongest
    for _ in range(60):
        control.update(50.0)
    assert control.strength == control.weakest


def test_a_worse_drop_never_leaves_more_strength() -> None:
    after = [Controller(1.0).update(drop / 10) for drop in range(-30, 60)]
    assert after == sorted(after, reverse=True)
    assert after[0] > after[-1]


@pytest.mark.parametrize("allowed", [0.5, 1.0, 5.0])
@pytest.mark.parametrize("slope", [0.2, 1.0, 4.0])
def test_it_settles_inside_the_constraint(allowed: float, slope: float) -> None:
    """A source that loses in proportion to the strength."""
    control = Controller(allowed)
    drops = []
    for _ in range(60):
        drops.append(slope * control.strength)
        control.update(drops[-1])
    wanted = control.aim * allowed / slope
    wanted = max(control.weakest, min(control.strongest, wanted))
    assert control.strength == pytest.approx(wanted, rel=0.05)
    assert all(drop < allowed for drop in drops[-30:])
    swings = [abs(b - a) for a, b in zip(drops[-11:], drops[-10:], strict=False)]
    assert max(swings) < 0.05 * allowed


def test_it_still_settles_when_the_drop_answers_late() -> None:
    """A drop is a consequence of training, which lags behind."""
    control, drop, drops = Controller(1.0), 0.0, []
    for _ in range(120):
        drop += 0.5 * (2.0 * control.strength - drop)
        drops.append(drop)
        control.update(drop)
    assert drops[-1] == pytest.approx(control.aim, abs=0.05)
    assert all(drop < 1 for drop in drops[-40:])


def test_nothing_allowed_ends_at_the_weakest() -> None:
    control = Controller(0.0)
    for _ in range(20):
        control.update(0.3)
    assert control.strength == control.weakest


def test_it_does_not_cut_while_the_network_recovers_by_itself() -> None:
    control = Controller(1.0, strength=2.0, last=9.0)
    for drop in (4.8, 2.5, 1.6):
        assert control.update(drop) == 2.0, "the next is expected inside, but is not there yet"
    assert control.update(1.5) < 2.0, "it recovers no more"
    assert Controller(1.0, strength=2.0).update(5.0) < 2.0


def test_its_state_goes_on_where_it_was() -> None:
    one = Controller(1.0)
    one.update(0.2)
    other = Controller(1.0)
    other.load_state_dict(one.state_dict())
    assert one.update(4.0) == other.update(4.0) != Controller(1.0).update(4.0)


@pytest.mark.parametrize(
    ("images", "aim"), [(10_000, 0.85), (200, 0.85), (103, 150 / 103), (100, 1.5), (99, 0.85)]
)
def test_one_image_may_be_lost_if_the_constraint_allows_it(images: int, aim: float) -> None:
    """Of 103 images a drop is 0, 0.97 or outside: an aim between the two could never be met."""
    control = Controller(1.0, grain=100 / images)
    assert control.within == pytest.approx(aim, abs=1e-5)
    assert (control.update(100 / images) >= 1.0) == (images >= 100)


def test_a_second_image_lost_by_chance_is_no_sentence_for_life() -> None:
    """One image of 103 is lost whatever the push, and a second one twice at the start."""
    image = 100 / 103
    control = Controller(1.0, grain=image, strength=2.0)
    for lost in (1, 2, 2):
        control.update(lost * image)
    assert control.strength < 2.0
    strengths = [control.update(image) for _ in range(4)]
    assert strengths == sorted(strengths)
    assert strengths[-1] > 2.0
