"""From the results of jobs to the report."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ntprune.attacks import ThreatModel, attack_class
from ntprune.audit.curves import choice, curve, envelope, scratch_curve
from ntprune.audit.flags import Evidence, raise_flags
from ntprune.audit.plan import Plan
from ntprune.audit.points import Point, covered, grid
from ntprune.audit.protocol import procedure
from ntprune.audit.right import drop_interval
from ntprune.audit.schema import Control, Cost, Curve, Missing, Report, SourceChange
from ntprune.errors import AuditError
from ntprune.release.card import versions


@dataclass(frozen=True)
class Findings:
    """What the jobs returned.

    Attributes:
        points: every attacked point.
        singles: source accuracy of each subject, and the untouched release on the target (`null`).
        costs: every result, for the cost block.
        missing: what has no result.
        reused: how many results were in the ledger.
    """

    points: list[Point]
    singles: dict[str, dict[str, Any]]
    costs: list[dict[str, Any]]
    missing: list[Missing] = field(default_factory=list)
    reused: int = 0


def assemble(
    plan: Plan, findings: Findings, source: str, target: str, guess: float | None = None
) -> Report:
    """The report of a finished audit; the same findings give the same report.

    Args:
        plan, findings: what was to be found, and what was.
        source, target: names of the domains.
        guess: accuracy (0 to 1) of naming the target's most common class every time; that of equal
            classes if not given.

    Raises:
        AuditError: what is missing leaves no yardstick or no envelope.
    """
    budgets = list(plan.budgets)
    seeds = plan.protocol.thieves
    _require_enough(plan, findings)
    yardstick = choice(_of(findings.points, "scratch"))
    scratch = grid(yardstick, budgets, seeds)

    def curves(subject: str) -> dict[str, Curve]:
        points = _of(findings.points, subject)
        names = dict.fromkeys(p.attack for p in points)
        grids = {
            name: grid([p for p in points if p.attack == name], budgets, seeds) for name in names
        }
        return {
            name: curve(budgets, attacked, scratch)
            for name, attacked in grids.items()
            if not np.isnan(attacked).all(1).any()
        }

    attacks = curves("release")
    overall = envelope(budgets, _of(findings.points, "release"), yardstick)
    controls = {
        name: Control(
            source=findings.singles[name]["accuracy"],
            drop_ci95_pp=None if name == "unprotected" else _lost(findings, name),
            sparsity=findings.singles[name]["sparsity"],
            attacks=curves(name),
            envelope=envelope(budgets, _of(findings.points, name), yardstick),
        )
        for name in plan.protocol.controls
        if name in findings.singles and name != "null"
        if covered(_of(findings.points, name), budgets, seeds)
    }
    if "null" in findings.singles:
        controls["null"] = _null(plan, findings, yardstick)
    before = findings.singles["unprotected"]["accuracy"]
    after = findings.singles["release"]["accuracy"]
    flags = raise_flags(
        Evidence(
            protocol=plan.protocol,
            budgets=budgets,
            classes=len(plan.classes),
            guess=guess or 1 / len(plan.classes),
            points=findings.points,
            scratch=scratch_curve(scratch),
            attacks=attacks,
            envelope=overall,
            controls=controls,
            missing=findings.missing,
            scales=_beside(findings, "scales"),
            whole_scales=_beside(findings, "whole_scales"),
            directions=_beside(findings, "directions"),
            head_directions=_beside(findings, "head_directions"),
            strays=findings.singles["release"]["strays"],
            lone=_beside(findings, "lone"),
        )
    )
    return Report(
        protocol=plan.protocol.name,
        release=plan.release.card.model_dump(mode="json", by_alias=True),
        source=SourceChange(
            name=source,
            before=before,
            after=after,
            drop_pp=round(100 * (before - after), 4),
            ci95_pp=None if plan.weights == plan.base else _lost(findings, "release"),
        ),
        target=target,
        budgets=budgets,
        scratch=scratch_curve(scratch),
        attacks=attacks,
        envelope=overall,
        controls=controls,
        threats=_threats(plan),
        flags=flags,
        missing=findings.missing,
        versions=versions(),
        cost=Cost(
            jobs=len(findings.costs),
            reused=findings.reused,
            steps=sum(result["steps"] for result in findings.costs),
            seconds=round(sum(result["seconds"] for result in findings.costs), 1),
        ),
    )


def _threats(plan: Plan) -> dict[str, ThreatModel]:
    """What a thief needs for each attack that was planned, training from scratch included."""
    subjects = ("release", *plan.protocol.controls)
    names = [name for subject in subjects for name in plan.attacks_on(subject)]
    return {name: attack_class(procedure(name)).threat for name in (*names, *plan.yardsticks)}


def _beside(findings: Findings, what: str) -> dict[str, tuple[Any, Any]]:
    """What a job says of each weight in the release and in the unprotected model."""
    released, bare = (findings.singles[s][what] for s in ("release", "unprotected"))
    return {name: (ours, bare[name]) for name, ours in released.items() if name in bare}


def _require_enough(plan: Plan, findings: Findings) -> None:
    """Every scratch point, and a choice for the thief everywhere, with and without protection."""
    asked = {"scratch": True} | {
        name: bool(plan.attacks_on(name)) for name in ("release", "unprotected")
    }
    short = [
        name
        for name, wanted in asked.items()
        if wanted and not covered(_of(findings.points, name), plan.budgets, plan.protocol.thieves)
    ]
    short += [name for name in ("release", "unprotected") if name not in findings.singles]
    if short:
        reasons = [
            f"{m.subject}/{m.attack or 'source'}"
            + (f" at {m.n} samples, seed {m.seed}" if m.attack else "")
            + f" ({m.reason})"
            for m in findings.missing
            if m.subject in short
        ]
        more = f" and {len(reasons) - 3} more" if len(reasons) > 3 else ""
        raise AuditError(
            f"the audit cannot be finished without {'; '.join(reasons[:3])}{more}: what was "
            "measured is kept; run the same command again, which tries only what is missing, or, "
            "where training diverged, leave that budget out with --budgets"
        )


def _null(plan: Plan, findings: Findings, yardstick: list[Point]) -> Control:
    """The untouched release: one accuracy, whatever the budget."""
    reached = findings.singles["null"]["accuracy"]
    points = [
        Point("null", "null", n, seed, reached, 0.0, 0.0, 0.0, None, None)
        for n in plan.budgets
        for seed in plan.protocol.thieves
    ]
    flat, scratch = (grid(p, plan.budgets, plan.protocol.thieves) for p in (points, yardstick))
    return Control(
        source=findings.singles["release"]["accuracy"],
        drop_ci95_pp=None if plan.weights == plan.base else _lost(findings, "release"),
        sparsity=findings.singles["release"]["sparsity"],
        attacks={"null": curve(plan.budgets, flat, scratch)},
        envelope=envelope(plan.budgets, points, yardstick),
    )


def _lost(findings: Findings, name: str) -> tuple[float, float]:
    """95 % interval of the source accuracy that `name` lost of the unprotected model's, points."""
    return drop_interval(findings.singles["unprotected"]["right"], findings.singles[name]["right"])


def _of(points: list[Point], subject: str) -> list[Point]:
    return [p for p in points if p.subject == subject]
