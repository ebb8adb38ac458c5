"""What was recorded of pairs: a table each, flags, commands, seconds and memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ntprune.audit.schema import Control, Curve, Report

_HEAD = (
    "what is attacked",
    "source test, %",
    "mask ignored, head kept",
    "mask ignored, new head",
    "mask kept, head kept",
    "mask kept, new head",
    "envelope",
)
_ATTACKS = ("finetune", "finetune-new-head", "masked", "masked-new-head")
_WORDS = (
    "SLC-AUC against training from scratch, in brackets the mean gap and its 95 % interval over "
    "thieves. A dash stands for what was not measured, and under mask kept also for a model "
    "without a mask. The envelope is over all attacks of the row's audit; that of ADMM on the "
    "source alone has the four of the columns."
)

# The note of a pair of which nothing could be released.
REFUSED = "refused"


def summarise(results: Path) -> str:
    """Markdown over every `<pair>/report.json` and `<pair>/run.json` below `results`.

    Beside them may lie `paper.json` and `audit-source-only.json`, the other reports on the pair.
    What could not be released is said at the end.
    """
    parts = ["# Figures and commands", _WORDS]
    for place in sorted(p.parent for p in results.glob("*/run.json")):
        report = _report(place / "report.json")
        run = json.loads((place / "run.json").read_bytes())
        rows = "\n".join(_row(*named) for named in _subjects(place, report))
        head = "| " + " | ".join(_HEAD) + " |\n" + "|" + "---|" * len(_HEAD)
        parts += [f"## {place.name}", f"{head}\n{rows}", _cost(report, run)]
    for file in sorted(results.glob(f"*/{REFUSED}.json")):
        reason = json.loads(file.read_bytes())["reason"]
        parts += [f"## {file.parent.name}", f"No figures: {reason}"]
    return "\n\n".join(parts) + "\n"


def _subjects(place: Path, report: Report) -> list[tuple[str, float, Report | Control]]:
    """What was attacked: its name, its accuracy on the source (0 to 1), and what came of it."""
    found: list[tuple[str, float, Report | Control]] = [("release", report.source.after, report)]
    # The file untrained is no model to compare with; the report has it.
    controls = {name: one for name, one in report.controls.items() if name != "null"}
    found += [(name, one.source, one) for name, one in controls.items()]
    if (file := place / "audit-source-only.json").exists():
        alone = _report(file)
        found.append(("ADMM on the source alone", alone.source.after, alone))
    if (file := place / "paper.json").exists():
        polite = _report(file)
        found.append(("release, `paper/1`", polite.source.after, polite))
        if bare := polite.controls.get("unprotected"):
            found.append(("unprotected, `paper/1`", bare.source, bare))
    return found


def _report(file: Path) -> Report:
    return Report.model_validate_json(file.read_bytes())


def _row(name: str, source: float, found: Report | Control) -> str:
    curves = [found.attacks.get(attack) for attack in _ATTACKS]
    cells = [name, f"{100 * source:.2f}", *map(_area, curves), _area(found.envelope)]
    return "| " + " | ".join(cells) + " |"


def _area(found: Curve | None) -> str:
    if found is None:
        return "–"
    interval = f", {found.ci95[0]:+.3f} to {found.ci95[1]:+.3f}" if found.ci95 else ""
    return f"{found.slc_auc:+.3f} ({found.mean_gap:+.3f}{interval})"


def _cost(report: Report, run: dict[str, Any]) -> str:
    stages = ", ".join(
        f"{stage} {note['seconds']:.0f} s (peak {note['peak_memory_mb']} MB)"
        for stage, note in run["stages"].items()
    )
    flags = ", ".join(flag.name for flag in report.flags) or "none"
    commands = "\n".join(f"- `{note['command']}`" for note in run["stages"].values())
    protocol = report.protocol
    if "budgets" not in protocol:  # a protocol that was reduced to some names them
        protocol += f", budgets {', '.join(map(str, report.budgets))}"
    return (
        f"Source before: {100 * report.source.before:.2f} %. {protocol}; {stages}; "
        f"{report.cost.jobs} jobs; flags: {flags}.\n\n{commands}"
    )
