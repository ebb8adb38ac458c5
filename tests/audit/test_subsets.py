"""Which images a thief draws."""

from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from ntprune.audit.subsets import held_out, hold_out, subset

LABELS = st.lists(st.integers(0, 4), min_size=1, max_size=60).map(torch.tensor)
SEEDS = st.integers(0, 2**31)


@given(LABELS, SEEDS)
def test_nested_without_duplicates(labels: torch.Tensor, seed: int) -> None:
    whole = subset(labels, len(labels), seed)
    assert sorted(whole.tolist()) == list(range(len(labels)))
    for n in range(1, len(labels) + 1):
        assert torch.equal(subset(labels, n, seed), whole[:n])


@given(LABELS, SEEDS, st.data())
def test_balanced_as_far_as_the_pool_allows(
    labels: torch.Tensor, seed: int, data: st.DataObject
) -> None:
    n = data.draw(st.integers(1, len(labels)))
    has = torch.bincount(labels, minlength=5)
    drawn = torch.bincount(labels[subset(labels, n, seed)], minlength=5)
    # Only a class without any image left may be behind by more than one.
    assert all(drawn[k] >= drawn.max() - 1 or drawn[k] == has[k] for k in range(5))


@given(LABELS, SEEDS)
def test_budgets_below_the_classes_hold_different_ones(labels: torch.Tensor, seed: int) -> None:
    classes = len(labels.unique())
    for n in range(1, classes + 1):
        assert len(labels[subset(labels, n, seed)].unique()) == n


def test_fixed_by_the_seed_and_moved_by_it() -> None:
    labels = torch.arange(200) % 4
    assert torch.equal(subset(labels, 40, 3), subset(labels, 40, 3))
    drawn = {tuple(subset(labels, 40, seed).tolist()) for seed in range(5)}
    assert len(drawn) == 5
    first = {int(labels[subset(labels, 1, seed)]) for seed in range(40)}
    assert first == {0, 1, 2, 3}, "the order of classes is drawn anew by every thief"


def test_the_order_of_classes_is_drawn_anew_each_round() -> None:
    labels = torch.arange(400) % 4
    rounds = labels[subset(labels, 400, 0)].view(100, 4)
    assert all(sorted(row) == [0, 1, 2, 3] for row in rounds.tolist())
    assert len({tuple(row) for row in rounds.tolist()}) > 12


def test_frozen() -> None:
    """Other draws would make every published point another point."""
    assert subset(torch.arange(30) % 3, 8, 0).tolist() == [18, 10, 8, 13, 23, 9, 22, 14]


@given(st.integers(2, 10_000), st.floats(0.01, 0.99))
def test_something_is_held_out_and_something_left(n: int, share: float) -> None:
    cut = held_out(n, share)
    assert 1 <= cut <= n - 1
    assert abs(cut - share * n) <= 1


@pytest.mark.parametrize(("n", "cut"), [(2, 1), (3, 1), (8, 2), (100, 20)])
def test_a_fifth(n: int, cut: int) -> None:
    assert held_out(n, 0.2) == cut


@given(LABELS, SEEDS, st.floats(0.05, 0.5), st.data())
def test_what_is_held_out_is_held_out_of_every_class_alike(
    labels: torch.Tensor, seed: int, share: float, data: st.DataObject
) -> None:
    n = data.draw(st.integers(2, max(2, len(labels))))
    assume(n <= len(labels))
    mine = labels[subset(labels, n, seed)]
    held = hold_out(mine, share)
    assert int(held.sum()) == held_out(n, share)
    counts = torch.bincount(mine)
    most = [min(int(share * c) + 1, c - 1) if c else 0 for c in counts.tolist()]
    taken: dict[int, int] = dict.fromkeys(range(len(most)), 0)
    wanted = []
    for place, label in enumerate(mine.tolist()):
        if len(wanted) < held_out(n, share) and taken[label] < most[label]:
            wanted.append(place)
            taken[label] += 1
    # Too few others: the last of a class, too.
    rest = [place for place in range(n) if place not in wanted]
    wanted += rest[: held_out(n, share) - len(wanted)]
    assert held.nonzero()[:, 0].tolist() == sorted(wanted)


@given(st.integers(2, 12), st.integers(2, 40), SEEDS, st.data())
def test_of_even_classes_the_first_samples_are_held_out(
    classes: int, each: int, seed: int, data: st.DataObject
) -> None:
    labels = torch.arange(classes * each) % classes
    n = data.draw(st.integers(2 * classes, len(labels)))
    cut = held_out(n, 0.2)
    held = hold_out(labels[subset(labels, n, seed)], 0.2)
    assert held.tolist() == [True] * cut + [False] * (n - cut)


def test_a_rare_class_is_not_held_out_as_a_whole() -> None:
    counts = torch.tensor([280] * 7 + [40] * 3)
    labels = torch.repeat_interleave(torch.arange(10), counts)
    mine = labels[subset(labels, 2000, 0)]
    held = hold_out(mine, 0.2)
    assert torch.bincount(mine[held])[7:].tolist() == [9, 9, 9]
    assert torch.bincount(mine[held], minlength=10)[:7].min() >= 50
