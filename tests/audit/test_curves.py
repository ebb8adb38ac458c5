"""Curves and envelopes from points made by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntprune.audit.curves import choice, curve, envelope, scratch_curve
from ntprune.audit.points import Point, covered, grid, table

BUDGETS = [10, 100, 1000]
SCRATCH = np.array([[0.3, 0.5], [0.6, 0.6], [0.9, 0.9]])


def point(
    attack: str, n: int, seed: int, accuracy: float, validation: float = 0.5, loss: float = 1.0
) -> Point:
    return Point("release", attack, n, seed, accuracy, validation, loss, 1e-3, 2.0, 0.5)


def yardstick(scratch: np.ndarray, validation: float = 0.5) -> list[Point]:
    return [
        point("scratch", n, seed, float(scratch[i, seed]), validation)
        for i, n in enumerate(BUDGETS)
        for seed in range(scratch.shape[1])
    ]


def test_scratch() -> None:
    found = scratch_curve(SCRATCH)
    assert found.curve == pytest.approx([0.4, 0.6, 0.9])
    assert found.spread == pytest.approx([0.2 / math.sqrt(2), 0, 0])
    assert scratch_curve(SCRATCH[:, :1]).spread == [0, 0, 0]


def test_curve() -> None:
    found = curve(BUDGETS, SCRATCH + np.array([[0.0], [0.2], [0.1]]), SCRATCH)
    # Trapezia over two decades: (0 + .2)/2 + (.2 + .1)/2.
    assert found.slc_auc == pytest.approx(0.25)
    assert found.mean_gap == pytest.approx(0.125)
    assert found.curve == pytest.approx([0.4, 0.8, 1.0])


def handmade(seed: int) -> list[Point]:
    """Two attacks: one does better on the test split, the other where the thief can see it."""
    return [
        point("lucky", 10, seed, accuracy=0.99, validation=0.2),
        point("trusted", 10, seed, accuracy=0.30, validation=0.8),
        point("lucky", 100, seed, accuracy=0.99, validation=0.8, loss=0.9),
        point("trusted", 100, seed, accuracy=0.40, validation=0.8, loss=0.8),
        point("lucky", 1000, seed, accuracy=0.70, validation=0.9),
        point("trusted", 1000, seed, accuracy=0.99, validation=0.8),
    ]


def test_the_envelope_follows_validation_not_the_test_split() -> None:
    points = [p for seed in (0, 1) for p in handmade(seed)]
    found = envelope(BUDGETS, points, yardstick(SCRATCH))
    assert found.curve == [0.30, 0.40, 0.70]
    assert found.chosen == [{"trusted": 2}, {"trusted": 2}, {"lucky": 2}]


def test_each_thief_chooses_for_itself() -> None:
    points = [
        point(attack, n, seed, accuracy=0.6 if attack == "a" else 0.4, validation=validation)
        for n in BUDGETS
        for seed in (0, 1)
        for attack, validation in (("a", float(seed == 0)), ("b", float(seed == 1)))
    ]
    found = envelope(BUDGETS, points, yardstick(SCRATCH))
    assert found.chosen == [{"a": 1, "b": 1}] * 3
    assert found.curve == pytest.approx([0.5] * 3)
    low, high = found.ci95
    assert low < found.mean_gap < high


def test_a_full_tie_does_not_depend_on_the_order_of_points() -> None:
    points = [point(a, n, s, ord(a) / 200) for n in BUDGETS for a in "abc" for s in (0, 1)]
    one, two = (envelope(BUDGETS, p, yardstick(SCRATCH)) for p in (points, points[::-1]))
    assert one == two


def test_a_thief_may_give_up() -> None:
    """At each budget the better of the two means over seeds; by hand."""
    points = [p for seed in (0, 1) for p in handmade(seed)]
    found = envelope(BUDGETS, points, yardstick(SCRATCH))
    assert found.or_scratch is not None
    scratch = SCRATCH.mean(1).tolist()
    assert found.or_scratch.curve == [max(pair) for pair in zip(found.curve, scratch, strict=True)]
    assert found.or_scratch.mean_gap > found.mean_gap


@given(st.lists(st.lists(st.floats(0, 1), min_size=6, max_size=6), min_size=2, max_size=2))
def test_giving_up_is_never_below_zero(values: list[list[float]]) -> None:
    accuracies = np.array(values).reshape(2, 3, 2)
    points = [
        point("a", n, seed, float(accuracies[0, i, seed]))
        for i, n in enumerate(BUDGETS)
        for seed in (0, 1)
    ]
    found = envelope(BUDGETS, points, yardstick(accuracies[1])).or_scratch
    assert found is not None
    assert found.mean_gap >= 0
    assert found.slc_auc >= 0


def test_the_interval_of_a_single_attack_is_over_the_seeds_that_are_whole() -> None:
    scratch = np.full((3, 3), 0.5)
    attacked = scratch + np.array([[0.0, 0.1, 0.2]])
    found = curve(BUDGETS, attacked, scratch)
    assert found.ci95 is not None
    assert found.ci95[0] < found.mean_gap < found.ci95[1]
    attacked[1, 2] = np.nan
    two = curve(BUDGETS, attacked[:, :2], scratch[:, :2]).ci95
    assert two is not None
    assert curve(BUDGETS, attacked, scratch).ci95 == two
    attacked[0, 1] = np.nan
    assert curve(BUDGETS, attacked, scratch).ci95 is None
    assert curve(BUDGETS, scratch[:, :1], scratch[:, :1]).ci95 is None


def test_scratch_is_the_best_of_its_recipes() -> None:
    points = [
        point(name, n, 0, accuracy, validation)
        for n in BUDGETS
        for name, accuracy, validation in (("scratch", 0.5, 0.6), ("scratch@sgd", 0.4, 0.7))
    ]
    assert {p.attack for p in choice(points)} == {"scratch@sgd"}
    assert [p.n for p in choice(points)] == BUDGETS


def test_the_interval_is_paired() -> None:
    """A shift common to thief and scratch of a seed says nothing about the effect."""
    moves = np.array([[0.0, 0.05, 0.1]])
    scratch = np.full((3, 3), 0.5) + moves
    points = [
        point("a", n, seed, float(0.4 + moves[0, seed])) for n in BUDGETS for seed in range(3)
    ]
    found = envelope(BUDGETS, points, yardstick(scratch))
    assert found.mean_gap == pytest.approx(-0.1)
    assert found.ci95 == pytest.approx((-0.1, -0.1))


def test_grid_and_table() -> None:
    points = [point("a", n, s, n / 1000 + s / 10) for n in BUDGETS for s in (1, 0)]
    assert grid(points, BUDGETS, (0, 1)).tolist() == [[0.01, 0.11], [0.1, 0.2], [1.0, 1.1]]
    assert np.isnan(grid(points, [10, 99], (0, 1))).tolist() == [[False] * 2, [True] * 2]
    assert covered(points, BUDGETS, (0, 1))
    assert not covered(points, BUDGETS, (0, 1, 2))
    rows = table(points).splitlines()
    assert rows[0].startswith("subject,attack,n,seed,accuracy,validation,loss,lr,first_loss")
    assert [row.split(",")[2:4] for row in rows[1:]] == [
        [str(n), str(s)] for n in BUDGETS for s in (0, 1)
    ]
    assert table(points[::-1]) == table(points)
