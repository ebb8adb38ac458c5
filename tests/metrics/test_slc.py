"""Areas between learning curves, by hand and by their invariances."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntprune.errors import SettingsError
from ntprune.metrics import mean_gap, slc_auc

accuracy = st.floats(0, 1)


@st.composite
def curves(draw: st.DrawFn) -> tuple[list[int], list[float], list[float]]:
    grid = sorted(draw(st.sets(st.integers(1, 100_000), min_size=2, max_size=7)))
    return (
        grid,
        draw(st.lists(accuracy, min_size=len(grid), max_size=len(grid))),
        draw(st.lists(accuracy, min_size=len(grid), max_size=len(grid))),
    )


@pytest.mark.parametrize(
    ("grid", "attacked", "scratch", "area"),
    [
        ([10, 1000], [0.3, 0.3], [0.5, 0.5], -0.4),  # a rectangle of -0.2 by 2
        ([1, 10], [0.2, 0.8], [0.2, 0.2], 0.3),  # a triangle of 0.6 by 1
        ([1, 10], [0.7, 0.3], [0.5, 0.5], 0.0),  # two triangles that cancel
        ([1, 10, 1000], [0.5, 0.5, 0.1], [0.1, 0.3, 0.3], 0.3),  # 0.3·1, then 0·2
        ([100, 200], [0.4, 0.4], [0.1, 0.1], 0.3 * math.log10(2)),
    ],
)
def test_areas_by_hand(
    grid: list[int], attacked: list[float], scratch: list[float], area: float
) -> None:
    assert slc_auc(grid, attacked, scratch) == pytest.approx(area, abs=1e-12)
    decades = math.log10(grid[-1] / grid[0])
    assert mean_gap(grid, attacked, scratch) == pytest.approx(area / decades, abs=1e-12)


@given(curves())
def test_the_sum_of_trapezoids(case: tuple[list[int], list[float], list[float]]) -> None:
    grid, attacked, scratch = case
    gaps = [a - s for a, s in zip(attacked, scratch, strict=True)]
    wanted = sum(
        (gaps[i] + gaps[i + 1]) / 2 * (math.log10(grid[i + 1]) - math.log10(grid[i]))
        for i in range(len(grid) - 1)
    )
    assert slc_auc(grid, attacked, scratch) == pytest.approx(wanted, abs=1e-9)
    assert abs(wanted) <= math.log10(grid[-1] / grid[0]) + 1e-9


@given(curves())
def test_swapping_the_curves_turns_the_sign(
    case: tuple[list[int], list[float], list[float]],
) -> None:
    grid, attacked, scratch = case
    assert slc_auc(grid, attacked, scratch) == pytest.approx(
        -slc_auc(grid, scratch, attacked), abs=1e-12
    )
    assert slc_auc(grid, attacked, attacked) == 0


@given(curves(), st.floats(0, 1), st.floats(0, 1))
def test_affine_changes_of_both_accuracies_scale_the_area(
    case: tuple[list[int], list[float], list[float]], scale: float, room: float
) -> None:
    grid, attacked, scratch = case
    shift = room * (1 - scale)

    def changed(curve: list[float]) -> list[float]:
        return [min(1.0, shift + scale * value) for value in curve]

    assert slc_auc(grid, changed(attacked), changed(scratch)) == pytest.approx(
        scale * slc_auc(grid, attacked, scratch), abs=1e-9
    )


@given(curves(), st.integers(2, 50))
def test_only_ratios_of_budgets_count(
    case: tuple[list[int], list[float], list[float]], factor: int
) -> None:
    grid, attacked, scratch = case
    larger = [factor * n for n in grid]
    assert slc_auc(larger, attacked, scratch) == pytest.approx(
        slc_auc(grid, attacked, scratch), abs=1e-9
    )


@given(
    ends=st.tuples(accuracy, accuracy, accuracy, accuracy),
    low=st.integers(1, 50),
    factors=st.lists(st.integers(2, 9), min_size=2, max_size=4),
)
def test_a_point_on_a_straight_segment_changes_nothing(
    ends: tuple[float, float, float, float], low: int, factors: list[int]
) -> None:
    grid = [low]
    for factor in factors:
        grid.append(grid[-1] * factor)
    share = [math.log(n / grid[0]) / math.log(grid[-1] / grid[0]) for n in grid]
    share = [min(1.0, s) for s in share]
    attacked, scratch = (
        [(1 - s) * first + s * last for s in share] for first, last in (ends[:2], ends[2:])
    )
    coarse = [grid[0], grid[-1]], [ends[0], ends[1]], [ends[2], ends[3]]
    assert slc_auc(grid, attacked, scratch) == pytest.approx(slc_auc(*coarse), abs=1e-9)
    assert mean_gap(grid, attacked, scratch) == pytest.approx(mean_gap(*coarse), abs=1e-9)


@given(curves(), st.floats(0, 0.5), st.floats(0, 0.5))
def test_the_mean_gap_of_parallel_curves_is_their_distance_on_any_grid(
    case: tuple[list[int], list[float], list[float]], gap: float, level: float
) -> None:
    grid = case[0]
    attacked, scratch = [level + gap] * len(grid), [level] * len(grid)
    assert mean_gap(grid, attacked, scratch) == pytest.approx(gap, abs=1e-9)
    assert mean_gap(grid, scratch, attacked) == pytest.approx(-gap, abs=1e-9)


@given(curves())
def test_the_mean_gap_stays_within_the_gaps(
    case: tuple[list[int], list[float], list[float]],
) -> None:
    grid, attacked, scratch = case
    gaps = [a - s for a, s in zip(attacked, scratch, strict=True)]
    assert min(gaps) - 1e-9 <= mean_gap(grid, attacked, scratch) <= max(gaps) + 1e-9


@pytest.mark.parametrize("other", [[10, 100], [10, 100, 999], [10, 99, 1000], [1000, 100, 10]])
def test_different_grids_are_refused(other: list[int]) -> None:
    curve = [0.1, 0.2, 0.3]
    for function in (slc_auc, mean_gap):
        with pytest.raises(SettingsError, match="different budgets"):
            function([10, 100, 1000], curve, curve, other)
        assert function([10, 100, 1000], curve, curve, [10, 100, 1000]) == 0


@pytest.mark.parametrize(
    ("grid", "attacked", "scratch", "words"),
    [
        ([10], [0.5], [0.5], "at least two"),
        ([], [], [], "at least two"),
        ([10, 10], [0.5, 0.5], [0.5, 0.5], "increasing"),
        ([100, 10], [0.5, 0.5], [0.5, 0.5], "increasing"),
        ([0, 10], [0.5, 0.5], [0.5, 0.5], "positive"),
        ([10, 100], [0.5], [0.5, 0.5], "attacked curve has shape"),
        ([10, 100], [0.5, 0.5], [0.5] * 3, "scratch curve has shape"),
        ([10, 100], [50.0, 60.0], [0.5, 0.5], "attacked curve.*shares, not %"),
        ([10, 100], [0.5, 0.5], [-0.1, 0.5], "scratch curve.*outside"),
        ([10, 100], [math.nan, 0.5], [0.5, 0.5], "outside"),
    ],
)
def test_what_is_not_a_learning_curve_is_refused(
    grid: list[int], attacked: list[float], scratch: list[float], words: str
) -> None:
    with pytest.raises(SettingsError, match=words):
        slc_auc(grid, attacked, scratch)
