"""Student's intervals, paired and of a mean; of shares of the same images."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_rel

from ntprune.errors import SettingsError
from ntprune.metrics import mean_interval, paired_interval, paired_share_interval

FIRST = [0.61, 0.58, 0.64, 0.55, 0.71]
SECOND = [0.50, 0.52, 0.49, 0.53, 0.55]


def test_it_is_that_of_scipys_paired_test() -> None:
    wanted = ttest_rel(FIRST, SECOND).confidence_interval(0.95)
    assert paired_interval(FIRST, SECOND) == pytest.approx((wanted.low, wanted.high), abs=1e-9)


def test_pairs_stay_together() -> None:
    """A large spread that both sides share cancels; two intervals of their own would see it."""
    shared = np.linspace(0, 1, 8)
    low, high = paired_interval(shared + [0.1, 0.12] * 4, shared)
    assert 0.1 < low < 0.11 < high < 0.12


def test_swapping_the_sides_mirrors_the_interval() -> None:
    low, high = paired_interval(FIRST, SECOND)
    assert paired_interval(SECOND, FIRST) == pytest.approx((-high, -low), abs=1e-12)


def test_more_confidence_is_wider() -> None:
    low, high = paired_interval(FIRST, SECOND, confidence=0.5)
    wide = paired_interval(FIRST, SECOND, confidence=0.99)
    assert wide[0] < low < high < wide[1]


@pytest.mark.parametrize("count", [2, 3, 5])
def test_it_holds_the_mean_as_often_as_it_says(count: int) -> None:
    """Of normal differences; a bootstrap of three holds it 73 times in a hundred."""
    draws = np.random.default_rng(0).normal(0.1, 0.05, (2000, count))
    ends = [paired_interval(each, np.zeros(count)) for each in draws]
    assert np.mean([low <= 0.1 <= high for low, high in ends]) == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize("level", [0.1, 0.0, -0.3])
@pytest.mark.parametrize("count", [2, 5])
def test_differences_that_do_not_vary_have_no_width(level: float, count: int) -> None:
    """Curves at chance level."""
    scratch = np.linspace(0.3, 0.4, count)
    assert paired_interval(scratch + level, scratch) == pytest.approx((level, level), abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=6))
def test_it_is_finite_and_around_the_mean(pairs: list[tuple[float, float]]) -> None:
    first, second = zip(*pairs, strict=True)
    low, high = paired_interval(first, second)
    mean = np.mean([a - b for a, b in pairs])
    assert low - 1e-12 <= mean <= high + 1e-12
    assert low + high == pytest.approx(2 * mean, abs=1e-9)


@pytest.mark.parametrize(
    ("first", "second"),
    [([0.5], [0.4]), ([], []), ([0.5, 0.6], [0.4]), ([[0.5, 0.6]], [[0.4, 0.4]])],
)
def test_what_has_no_pairs_is_refused(first: list[float], second: list[float]) -> None:
    with pytest.raises(SettingsError, match="two pairs"):
        paired_interval(first, second)


def test_the_interval_of_a_mean_is_students() -> None:
    low, high = mean_interval([0.1, 0.2, 0.15])
    # t of 2 degrees of freedom is 4.303 at 97.5 %.
    assert (low + high) / 2 == pytest.approx(0.15)
    assert high - low == pytest.approx(2 * 4.30265 * 0.05 / np.sqrt(3), rel=1e-5)
    assert mean_interval([1.0, 1.0]) == (1.0, 1.0)


@pytest.mark.parametrize("values", [[], [1.0], [[1.0, 2.0]]])
def test_one_value_has_no_interval(values: list[float]) -> None:
    with pytest.raises(SettingsError, match="at least two values"):
        mean_interval(values)


def shares(lost: int, won: int, count: int) -> tuple[list[bool], list[bool]]:
    """What two models have right of `count` images, of which each alone has some."""
    same = count - lost - won
    return [True] * lost + [False] * won + [True] * same, [False] * lost + [True] * (won + same)


def test_shares_by_hand() -> None:
    """Where they agree on all of n images, each end is z² / (n + z²) away."""
    z = 1.959964
    for count in (50, 1000):
        wanted = z**2 / (count + z**2)
        assert paired_share_interval(*shares(0, 0, count)) == pytest.approx(
            (-wanted, wanted), rel=1e-5
        )


def test_its_ends_are_where_the_score_test_refuses() -> None:
    """The likeliest shares under a difference, found by brute force."""
    lost, won, count = 10, 3, 100
    for end in paired_share_interval(*shares(lost, won, count)):
        only_second = np.linspace(max(0.0, -end) + 1e-9, (1 - end) / 2 - 1e-9, 200_001)
        only_first, neither = only_second + end, 1 - 2 * only_second - end
        likelihood = (
            lost * np.log(only_first) + won * np.log(only_second)
            + (count - lost - won) * np.log(neither)
        )  # fmt: skip
        best = only_second[likelihood.argmax()]
        variance = count * (2 * best + end - end**2)
        assert abs(lost - won - count * end) / np.sqrt(variance) == pytest.approx(1.96, abs=1e-3)


@pytest.mark.parametrize(
    ("count", "lost", "won"),
    [
        (1000, 0.02, 0.01),
        (1000, 0.01, 0.002),
        (1000, 0.003, 0.0),
        (90, 0.05, 0.0),
        (90, 0.03, 0.01),
    ],
)
def test_shares_may_have_lost_no_more_than_it_says(count: int, lost: float, won: float) -> None:
    """The upper end counts; the lower one, nearer to zero, is too high in up to 4 of 100 cases."""
    drawn = np.random.default_rng(0).multinomial(count, [lost, won, 1 - lost - won], size=3000)
    kinds, often = np.unique(drawn, axis=0, return_counts=True)
    ends = np.array([paired_share_interval(*shares(a, b, count)) for a, b, _ in kinds])
    above = often @ (ends[:, 0] > lost - won) / 3000
    below = often @ (ends[:, 1] < lost - won) / 3000
    assert above < 0.04
    assert below < 0.03


def test_models_that_agree_everywhere_may_differ_elsewhere() -> None:
    low, high = paired_share_interval([True] * 50, [True] * 50)
    assert low == pytest.approx(-high)
    assert 0.05 < high < 0.1


@pytest.mark.parametrize("count", [1, 2443, 3316, 10_000])
def test_models_that_agree_nowhere_have_an_interval_of_any_count(count: int) -> None:
    """A square root that is zero must not become that of a rounding error below it."""
    low, high = paired_share_interval([False] * count, [True] * count)
    assert low == -1
    assert -1 < high < 1


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_shares_are_in_their_range_and_mirrored(pairs: list[tuple[bool, bool]]) -> None:
    first, second = zip(*pairs, strict=True)
    low, high = paired_share_interval(first, second)
    assert -1 <= low < high <= 1
    difference = np.mean(np.subtract(first, second, dtype=float))
    assert low <= difference <= high
    assert paired_share_interval(second, first) == pytest.approx((-high, -low))


@pytest.mark.parametrize(
    ("first", "second"), [([], []), ([True], [True, False]), ([[True]], [[False]])]
)
def test_shares_of_other_images_are_refused(first: list[bool], second: list[bool]) -> None:
    with pytest.raises(SettingsError, match="image by image"):
        paired_share_interval(first, second)
