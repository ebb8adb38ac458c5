"""Successive halving chooses what the whole grid would, within noise, on a recorded example."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from ntprune.attacks import make_attack
from ntprune.audit import Recipe
from ntprune.audit.search import Thief, Trial, search
from ntprune.engine import Resident

RECORD = json.loads((Path(__file__).parent / "recorded" / "halving.json").read_text())


class Replay(Thief):
    """A thief whose trials are those of the record."""

    point: dict[str, Any]

    def attempt(self, samples: Resident, lrs: Any, steps: int) -> list[Trial]:
        (length,) = (name for name, count in self.point["steps"].items() if count == steps)
        return [Trial(*t) for t in self.point[length] if t[0] in [*lrs]]

    def train(self, samples: Resident, lr: float, steps: int) -> Any:
        return None


def replayed(point: dict[str, Any]) -> float:
    """The learning rate that the search chooses at `point`."""
    n, steps = point["n"], point["steps"]
    recipe = Recipe(
        lrs=tuple(t[0] for t in point["short"]),
        min_steps=steps["full"],
        epochs=0,
        search_share=steps["short"] / steps["full"],
        finalists=RECORD["finalists"],
        finalist_share=steps["longer"] / steps["full"],
    )
    thief = Replay(make_attack(point["attack"]), None, (), recipe, 0)  # type: ignore[arg-type]
    object.__setattr__(thief, "point", point)
    return search(thief, range(n)).best.lr  # type: ignore[arg-type]


def regret(point: dict[str, Any]) -> float:
    """Held-out accuracy at full length that another rate would have had more than the chosen."""
    reached = {lr: accuracy for lr, accuracy, _ in point["full"]}
    return max(reached.values()) - reached[replayed(point)]


def noise(point: dict[str, Any]) -> float:
    """Standard error of an accuracy on the held-out slice, which may hold a handful of images."""
    best = max(accuracy for _, accuracy, _ in point["full"])
    return math.sqrt(max(best * (1 - best), 0.05) / point["held_out"])


@pytest.mark.parametrize(
    "point", RECORD["points"], ids=lambda p: f"{p['attack']}-{p['n']}-{p['seed']}"
)
def test_no_choice_is_worse_than_noise(point: dict[str, Any]) -> None:
    assert regret(point) <= 2 * noise(point)


def test_on_average_nothing_is_lost() -> None:
    assert sum(regret(p) / noise(p) for p in RECORD["points"]) / len(RECORD["points"]) < 0.5
    telling = [p for p in RECORD["points"] if p["held_out"] >= 40]
    by_lot = [
        max(a for _, a, _ in p["full"]) - sum(a for _, a, _ in p["full"]) / len(p["full"])
        for p in telling
    ]
    lost = sum(map(regret, telling)) / len(telling)
    assert lost < 0.02
    assert lost < 0.25 * sum(by_lot) / len(telling), "hardly better than a rate drawn by lot"
