"""From the results of jobs to the report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ntprune.audit.curves import curve, envelope, scratch_curve
from ntprune.audit.flags import Evidence, raise_flags
from ntprune.audit.plan import Plan
from ntprune.audit.points import Point, grid
from ntprune.audit.schema import Control, Cost, Curve, Report, SourceChange
from ntprune.release.card import versions


@dataclass(frozen=True)
class Findings:
    """What the jobs returned.

    Attributes:
        points: every attacked point.
        singles: source accuracy of each subject, and the untouched release on the target (`null`).
        costs: every result, for the cost block.
    """

    points: list[Point]
    singles: dict[str, dict[str, Any]]
    costs: list[dict[str, Any]]


def assemble(plan: Plan, findings: Findings, source: str, target: str, classes: int) -> Report:
    """The report of a finished audit; the same findings give the same report."""
    budgets = list(plan.budgets)
    seeds = plan.protocol.thieves
    scratch = grid(_of(findings.points, "scratch"), budgets, seeds)

    def curves(subject: str) -> dict[str, Curve]:
        points = _of(findings.points, subject)
        names = dict.fromkeys(p.attack for p in points)
        return {
            name: curve(
                budgets, grid([p for p in points if p.attack == name], budgets, seeds), scratch
            )
            for name in names
        }

    attacks = curves("release")
    overall = envelope(budgets, _of(findings.points, "release"), scratch)
    controls = {
        name: Control(
            source=findings.singles[name]["accuracy"],
            sparsity=findings.singles[name]["sparsity"],
            attacks=curves(name),
            envelope=envelope(budgets, _of(findings.points, name), scratch),
        )
        for name in plan.protocol.controls
        if name != "null" and _of(findings.points, name)
    }
    if "null" in findings.singles:
        controls["null"] = _null(plan, findings, scratch)
    before = findings.singles["unprotected"]["accuracy"]
    after = findings.singles["release"]["accuracy"]
    bare = findings.singles["unprotected"].get("scales", {})
    flags = raise_flags(
        Evidence(
            protocol=plan.protocol,
            budgets=budgets,
            classes=classes,
            points=findings.points,
            scratch=scratch_curve(scratch),
            attacks=attacks,
            envelope=overall,
            controls=controls,
            scales={
                layer: (released, bare[layer])
                for layer, released in findings.singles["release"].get("scales", {}).items()
                if layer in bare
            },
            strays=findings.singles["release"].get("strays", {}),
        )
    )
    return Report(
        protocol=plan.protocol.name,
        release=plan.release.card.model_dump(mode="json", by_alias=True),
        source=SourceChange(
            name=source, before=before, after=after, drop_pp=round(100 * (before - after), 4)
        ),
        target=target,
        budgets=budgets,
        scratch=scratch_curve(scratch),
        attacks=attacks,
        envelope=overall,
        controls=controls,
        flags=flags,
        versions=versions(),
        cost=Cost(
            jobs=len(findings.costs),
            steps=sum(result["steps"] for result in findings.costs),
            seconds=round(sum(result["seconds"] for result in findings.costs), 1),
        ),
    )


def _null(plan: Plan, findings: Findings, scratch: np.ndarray[Any, Any]) -> Control:
    """The untouched release: one accuracy, whatever the budget."""
    reached = findings.singles["null"]["accuracy"]
    points = [
        Point("null", "null", n, seed, reached, 0.0, 0.0, 0.0, None, None)
        for n in plan.budgets
        for seed in plan.protocol.thieves
    ]
    flat = grid(points, plan.budgets, plan.protocol.thieves)
    return Control(
        source=findings.singles["release"]["accuracy"],
        sparsity=findings.singles["release"]["sparsity"],
        attacks={"null": curve(plan.budgets, flat, scratch)},
        envelope=envelope(plan.budgets, points, scratch),
    )


def _of(points: list[Point], subject: str) -> list[Point]:
    return [p for p in points if p.subject == subject]
