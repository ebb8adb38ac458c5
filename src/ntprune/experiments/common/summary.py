"""What was recorded of pairs: a table each, flags, commands, seconds and memory."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ntprune.audit.schema import Control, Curve, Report

_HEAD = (
    "what is attacked",
    "source test, % (points lost)",
    "mask ignored, head kept",
    "mask ignored, new head",
    "mask kept, head kept",
    "mask kept, new head",
    "strongest attack",
    "envelope",
)
_ATTACKS = ("finetune", "finetune-new-head", "masked", "masked-new-head")
_WORDS = (
    "SLC-AUC against training from scratch, in brackets its 95 % interval over thieves. The mean "
    "gap is SLC-AUC divided by the decades that a pair's budgets span. A dash stands for what was "
    "not measured, and under mask kept also for a model without a mask; points lost on the source "
    "have a 95 % interval over test images where it was recorded. The strongest attack and "
    "the envelope are of all attacks of the row's audit; that of ADMM on the source alone has the "
    "four of the columns, one by `paper/1` the two that keep the mask, or ignore a mask that the "
    "model doesn't have."
)
# The note of a pair of which nothing could be released.
REFUSED = "refused"


@dataclass(frozen=True)
class _Subject:
    """What was attacked.

    Attributes:
        name: of its row.
        source: its test accuracy on the source, 0 to 1.
        lost: what it lost of the unprotected model's, in points, and the interval of that.
        found: what came of the attacks.
        decades: that the budgets span.
    """

    name: str
    source: float
    lost: tuple[float, tuple[float, float] | None]
    found: Report | Control
    decades: float


def summarise(results: Path) -> str:
    """Markdown over every `<pair>/report.json` and `<pair>/run.json` below `results`.

    Beside them may lie the other reports on the pair: `paper.json`, `audit-source-only.json` and
    `paper-source-only.json`.
    What could not be released is said at the end.
    """
    parts = ["# Figures and commands", _WORDS]
    for place in sorted(p.parent for p in results.glob("*/run.json")):
        report = _report(place / "report.json")
        run = json.loads((place / "run.json").read_bytes())
        others = {
            name: _report(file)
            for name in ("audit-source-only", "paper", "paper-source-only")
            if (file := place / f"{name}.json").exists()
        }
        rows = "\n".join(map(_row, _subjects(report, others)))
        head = "| " + " | ".join(_HEAD) + " |\n" + "|" + "---|" * len(_HEAD)
        parts += [f"## {place.name}", f"{head}\n{rows}", _cost(report, others.get("paper"), run)]
    for file in sorted(results.glob(f"*/{REFUSED}.json")):
        reason = json.loads(file.read_bytes())["reason"]
        parts += [f"## {file.parent.name}", f"No figures: {reason}"]
    return "\n\n".join(parts) + "\n"


def _subjects(report: Report, others: Mapping[str, Report]) -> Iterator[_Subject]:
    yield _release("release", report)
    yield from _controls(report)
    if alone := others.get("audit-source-only"):
        yield _release("ADMM on the source alone", alone)
    if polite := others.get("paper"):
        yield _release("release, `paper/1`", polite)
        yield from _controls(polite, ", `paper/1`")
    if alone := others.get("paper-source-only"):
        yield _release("ADMM on the source alone, `paper/1`", alone)


def _release(name: str, report: Report) -> _Subject:
    lost = report.source.drop_pp, report.source.ci95_pp
    return _Subject(name, report.source.after, lost, report, _decades(report))


def _controls(report: Report, suffix: str = "") -> Iterator[_Subject]:
    for name, control in report.controls.items():
        if name != "null":  # the file untrained is no model to compare with; the report has it
            lost = 100 * (report.source.before - control.source), control.drop_ci95_pp
            yield _Subject(name + suffix, control.source, lost, control, _decades(report))


def _decades(report: Report) -> float:
    return math.log10(report.budgets[-1] / report.budgets[0])


def _report(file: Path) -> Report:
    return Report.model_validate_json(file.read_bytes())


def _row(subject: _Subject) -> str:
    attacks, decades = subject.found.attacks, subject.decades
    strongest = max(attacks, key=lambda name: attacks[name].slc_auc)
    cells = [
        subject.name,
        f"{100 * subject.source:.2f} ({_lost(*subject.lost)})",
        *(_area(attacks.get(name), decades) for name in _ATTACKS),
        f"`{strongest}` {_area(attacks[strongest], decades)}",
        _area(subject.found.envelope, decades),
    ]
    return "| " + " | ".join(cells) + " |"


def _lost(points: float, ends: tuple[float, float] | None) -> str:
    spread = "" if ends is None else f", {ends[0]:z.2f} to {ends[1]:z.2f}"
    return f"{points:z.2f}{spread}"


def _area(found: Curve | None, decades: float) -> str:
    if found is None:
        return "–"
    if found.ci95 is None:
        return f"{found.slc_auc:+.3f}"
    low, high = (decades * end for end in found.ci95)
    return f"{found.slc_auc:+.3f} ({low:+.3f} to {high:+.3f})"


def _cost(report: Report, polite: Report | None, run: dict[str, Any]) -> str:
    stages = ", ".join(
        f"{stage} {note['seconds']:.0f} s (peak {note['peak_memory_mb']} MB)"
        for stage, note in run["stages"].items()
    )
    flags = f"flags: {_flags(report)}"
    if polite:
        flags += f"; of `paper/1`, budgets {', '.join(map(str, polite.budgets))}: {_flags(polite)}"
    commands = "\n".join(f"- `{note['command']}`" for note in run["stages"].values())
    protocol = report.protocol
    if "budgets" not in protocol:  # a protocol that was reduced to some names them
        protocol += f", budgets {', '.join(map(str, report.budgets))}"
    return (
        f"Source before: {100 * report.source.before:.2f} %. {protocol}; {stages}; "
        f"{report.cost.jobs} jobs; {flags}.\n\n{commands}"
    )


def _flags(report: Report) -> str:
    return ", ".join(dict.fromkeys(flag.name for flag in report.flags)) or "none"
