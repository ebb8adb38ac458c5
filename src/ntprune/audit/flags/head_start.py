"""Flags: what an average over budgets and a thief's choice by few images can hide."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.stats import false_discovery_control, t

from ntprune.audit.curves import choice
from ntprune.audit.flags.evidence import Evidence
from ntprune.audit.points import grid
from ntprune.audit.schema import Flag

# Of the attacks and budgets that are called ahead, the share that is so by chance.
_LEVEL = 0.05
# Few thieves have little power to show a lead, so that many who are all ahead need not: that all
# five are, and by half a point on average, is not for the defender to call chance.
_MANY, _CLEAR = 5, 0.005
# A thief's choice rests on few images, so that the envelope may lie a little below an attack.
_BELOW = 0.01


def head_start_at_some_budget(e: Evidence) -> Iterator[Flag]:
    """An attack is above scratch at a budget, though perhaps not on average over budgets."""
    seeds = e.protocol.thieves
    scratch = grid(choice([p for p in e.points if p.subject == "scratch"]), e.budgets, seeds)
    attacks = dict.fromkeys(p.attack for p in e.points if p.subject == "release")
    leads = []
    for attack in attacks:
        points = [p for p in e.points if (p.subject, p.attack) == ("release", attack)]
        gaps = grid(points, e.budgets, seeds) - scratch
        leads += [(n, attack, row) for n, row in zip(e.budgets, gaps, strict=True)]
    best: dict[int, tuple[float, str]] = {}
    if leads:
        adjusted = false_discovery_control([_above_zero(row) for _, _, row in leads])
        for (n, attack, row), p in zip(leads, adjusted, strict=True):
            if p < _LEVEL or _all_ahead(row):
                best[n] = max(best.get(n, (0.0, "")), (float(np.nanmean(row)), attack))
    if best:
        where = ", ".join(
            f"{attack} at {n:,} samples by {100 * gain:.1f} points"
            for n, (gain, attack) in sorted(best.items())
        )
        yield Flag(
            name="head-start-at-some-budget",
            message=f"a thief is ahead of scratch with {where}, whatever the average over budgets "
            "says",
        )


def envelope_below_an_attack(e: Evidence) -> Iterator[Flag]:
    """A thief who always takes one attack does better than one who chooses."""
    if not e.attacks:
        return
    name = max(e.attacks, key=lambda attack: e.attacks[attack].mean_gap)
    gap = e.attacks[name].mean_gap
    if gap > e.envelope.mean_gap + _BELOW:
        yield Flag(
            name="envelope-below-an-attack",
            message=(
                f"{name} alone has a mean gap of {gap:+.3f}, the envelope of "
                f"{e.envelope.mean_gap:+.3f}: the thief's own few images chose badly, and quoting "
                "the envelope alone flatters the defence"
            ),
        )


def _all_ahead(differences: NDArray[np.float64]) -> bool:
    there = differences[~np.isnan(differences)]
    many = len(differences) >= _MANY and len(there) > _MANY // 2
    return many and bool((there > 0).all() and there.mean() >= _CLEAR)


def _above_zero(differences: NDArray[np.float64]) -> float:
    """One-sided p of Student's paired test over the seeds that are there; 1 for fewer than two."""
    differences = differences[~np.isnan(differences)]
    count = len(differences)
    if count < 2:
        return 1.0
    mean, spread = differences.mean(), differences.std(ddof=1)
    # Accuracies are shares of a test split: equal differences are equal but for rounding.
    if spread < 1e-12:
        return 0.0 if mean > 1e-12 else 1.0
    return float(t.sf(mean * np.sqrt(count) / spread, count - 1))
