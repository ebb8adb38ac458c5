"""Short trials and the rule of one standard error choose what the whole grid would, within noise.

On a recorded example (`python -m benchmarks.search`): every rate was also tried at full length, and
its final run was measured on images that no thief had held out.
"""

from __future__ import annotations

import json
from pathlib import Path
from statistics import mean
from typing import Any

import pytest

from ntprune.audit import PROTOCOLS
from ntprune.audit.search import Trial, choose

RECORD = json.loads((Path(__file__).parent / "recorded" / "search.json").read_text())
POINTS = RECORD["points"]


def reached(point: dict[str, Any], length: str) -> float:
    """Accuracy of the final run with the rate that trials of that length choose."""
    trials = [Trial(*trial) for trial in point[length]]
    chosen = choose(trials, point["held_out"], RECORD["usual"])
    return dict(map(tuple, point["final"]))[chosen.lr]


def by_lot(point: dict[str, Any]) -> float:
    """The mean over the rates."""
    return mean(accuracy for _, accuracy in point["final"])


def test_the_record_is_of_the_protocol_s_search() -> None:
    recipe = PROTOCOLS["standard/1"].recipe
    assert RECORD["usual"] == recipe.usual
    for point in POINTS:
        assert [lr for lr, _ in point["final"]] == list(recipe.lrs)


@pytest.mark.parametrize("point", POINTS, ids=lambda p: f"{p['attack']}-{p['n']}-{p['seed']}")
def test_no_choice_is_far_below_that_of_the_whole_grid(point: dict[str, Any]) -> None:
    """With a handful of images neither choice tells much, so a tenth is little."""
    assert reached(point, "short") > reached(point, "full") - (0.1 if point["n"] < 100 else 0.03)


def test_on_average_nothing_is_lost() -> None:
    whole = mean(reached(point, "full") for point in POINTS)
    assert mean(reached(point, "short") for point in POINTS) > whole - 0.01


@pytest.mark.parametrize("n", sorted({point["n"] for point in POINTS}))
def test_it_is_near_the_best_rate_and_far_from_a_rate_drawn_by_lot(n: int) -> None:
    """With a single held-out image there is nothing to choose by: no worse than by lot."""
    mine = [point for point in POINTS if point["n"] == n]
    best = mean(max(accuracy for _, accuracy in point["final"]) for point in mine)
    lot, found = mean(map(by_lot, mine)), mean(reached(point, "short") for point in mine)
    share = 0.4 if mine[0]["held_out"] > 2 else 1.0
    assert best - found < share * (best - lot)
