"""From points to curves, envelopes and intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ntprune.audit.points import Point, grid
from ntprune.audit.schema import Curve, Envelope, ScratchCurve
from ntprune.metrics import mean_gap, paired_interval, slc_auc

Grid = NDArray[np.float64]


def scratch_curve(scratch: Grid) -> ScratchCurve:
    """Mean and spread over seeds of accuracies (budgets × seeds)."""
    return ScratchCurve(curve=scratch.mean(1).tolist(), spread=_spread(scratch))


def curve(budgets: Sequence[int], attacked: Grid, scratch: Grid) -> Curve:
    """One attack against scratch; both budgets × seeds.

    Where a seed of the attack is missing (NaN), neither side's seed counts at that budget: thieves
    of one seed hold the same samples. At least one seed must be there at every budget. The interval
    is over the seeds that are there at all of them, if these are two or more.
    """
    base = _mean(np.where(np.isnan(attacked), np.nan, scratch))
    mean = _mean(attacked)
    whole = ~np.isnan(attacked).any(0)
    return Curve(
        curve=mean.tolist(),
        spread=_spread(attacked),
        slc_auc=slc_auc(budgets, mean, base),
        mean_gap=mean_gap(budgets, mean, base),
        ci95=_interval(budgets, attacked[:, whole], scratch[:, whole]) if whole.sum() > 1 else None,
    )


def choice(points: list[Point]) -> list[Point]:
    """At each budget and seed the point that did best on the thief's own held-out slice.

    The choice never looks at the test split.
    """
    best: dict[tuple[int, int], Point] = {}
    for point in sorted(points, key=lambda p: (p.validation, -p.loss, p.attack)):
        best[point.n, point.seed] = point
    return [best[key] for key in sorted(best)]


def envelope(budgets: Sequence[int], points: list[Point], yardstick: list[Point]) -> Envelope:
    """The attacks that a thief would choose, who can't see the test split.

    It can lie below the curve of a single attack. A thief who may also train from scratch is given
    the better of the two at each budget, without having to find out which: that is an upper bound
    of what giving up is worth to him, and can't be below zero.

    Args:
        budgets: the grid.
        points: of all attacks on one subject, at least one at every budget and seed.
        yardstick: of scratch, one at every budget and seed.
    """
    seeds = sorted({p.seed for p in points})
    chosen = choice(points)
    best, scratch = grid(chosen, budgets, seeds), grid(yardstick, budgets, seeds)
    helps = (_mean(best) >= _mean(scratch))[:, None]
    return Envelope(
        **curve(budgets, best, scratch).model_dump(exclude={"ci95"}),
        ci95=_interval(budgets, best, scratch),
        chosen=[
            dict(sorted(Counter(p.attack for p in chosen if p.n == n).items())) for n in budgets
        ],
        or_scratch=curve(budgets, np.where(helps, best, scratch), scratch),
    )


def _interval(budgets: Sequence[int], attacked: Grid, scratch: Grid) -> tuple[float, float]:
    """Of the mean gap, over the seeds that both have."""
    flat = np.zeros(len(budgets))
    return paired_interval(
        *([mean_gap(budgets, one, flat) for one in side.T] for side in (attacked, scratch))
    )


def _mean(values: Grid) -> Grid:
    return np.array([there.mean() for there in map(_there, values)])


def _spread(values: Grid) -> list[float]:
    rows = map(_there, values)
    return [float(there.std(ddof=1 if len(there) > 1 else 0)) for there in rows]


def _there(row: Grid) -> Grid:
    return row[~np.isnan(row)]
