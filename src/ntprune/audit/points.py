"""The seed-level table behind every figure of an audit."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields

import numpy as np
from numpy.typing import NDArray

from ntprune.audit.schema import Missing
from ntprune.jobs import Failure, Job, Outcome


@dataclass(frozen=True)
class Point:
    """One attacked point.

    Attributes:
        subject: `scratch`, `release`, or the name of a control.
        attack: name of the attack.
        n, seed: the thief's samples and which thief it is.
        accuracy: on the target's test split.
        validation, loss: accuracy and cross-entropy on the thief's held-out slice.
        lr: learning rate the thief chose.
        first_loss, last_loss: of its final training run.
        falling: relative fall of the loss over the second half of that run; `None` where nothing
            was trained.
    """

    subject: str
    attack: str
    n: int
    seed: int
    accuracy: float
    validation: float
    loss: float
    lr: float
    first_loss: float | None
    last_loss: float | None
    falling: float | None = None

    @property
    def unfinished(self) -> bool:
        """Whether the loss was still above a fifth of a nat and had fallen by more than a fifth."""
        return (self.falling or 0) > 0.2 and (self.last_loss or 0) > 0.2


def collect(
    subject: str, attack: str, jobs: Iterable[Job], outcomes: Iterable[Outcome]
) -> tuple[list[Point], list[Missing]]:
    """The points of `attack` on `subject`, and those that its jobs did not come to."""
    wanted = ("accuracy", "validation", "loss", "lr", "first_loss", "last_loss")
    points: list[Point] = []
    missing: list[Missing] = []
    for job, outcome in zip(jobs, outcomes, strict=True):
        n, seed = job.spec["n"], job.spec["seed"]
        if isinstance(outcome, Failure):
            missing.append(
                Missing(subject=subject, attack=attack, n=n, seed=seed, reason=outcome.reason)
            )
        else:
            values = {name: outcome[name] for name in wanted}
            points.append(Point(subject, attack, n, seed, **values, falling=outcome.get("falling")))
    return points, missing


def table(points: list[Point]) -> str:
    """All points as CSV, sorted, the same bytes for the same points."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [f.name for f in fields(Point)], lineterminator="\n")
    writer.writeheader()
    for point in sorted(points, key=lambda p: (p.subject, p.attack, p.n, p.seed)):
        writer.writerow(asdict(point))
    return text.getvalue()


def grid(points: list[Point], budgets: Iterable[int], seeds: Iterable[int]) -> NDArray[np.float64]:
    """Accuracies (budgets × seeds) of one subject and one attack; NaN where a point is missing."""
    seeds = list(seeds)
    found = {(p.n, p.seed): p.accuracy for p in points}
    return np.array([[found.get((n, s), np.nan) for s in seeds] for n in budgets])


def covered(points: list[Point], budgets: Iterable[int], seeds: Iterable[int]) -> bool:
    """Whether there is at least one point at every budget and seed."""
    found = {(p.n, p.seed) for p in points}
    seeds = list(seeds)
    return all((n, s) in found for n in budgets for s in seeds)
