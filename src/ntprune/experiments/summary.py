"""One table over recorded pairs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ntprune.audit.schema import Curve, Report

_COLUMNS = (
    "pair",
    "source test, before → after",
    "unprotected",
    "mask-free, head kept",
    "mask-free, new head",
    "mask-kept, head kept",
    "mask-kept, new head",
    "envelope (mean gap, 95 %)",
    "magnitude, mask-free / mask-kept",
    "random, mask-free",
)

_FREE = ("finetune", "finetune-new-head")
_KEPT = ("masked", "masked-new-head")


def summarise(results: Path) -> str:
    """Markdown over every `<pair>/report.json` and `<pair>/run.json` below `results`.

    Figures are SLC-AUC against scratch but for the envelope's interval, which is of the mean gap.
    """
    rows, costs = [], []
    for place in sorted(p.parent for p in results.glob("*/run.json")):
        report = Report.model_validate_json((place / "report.json").read_bytes())
        run = json.loads((place / "run.json").read_text())
        rows.append(_row(place.name, report))
        costs.append(_cost(place.name, report, run))
    header = ["| " + " | ".join(_COLUMNS) + " |", "|" + "---|" * len(_COLUMNS)]
    return "\n".join([*header, *rows, "", *costs]) + "\n"


def _row(name: str, report: Report) -> str:
    source, envelope = report.source, report.envelope
    cells = [
        name,
        f"{100 * source.before:.2f} → {100 * source.after:.2f} % ({source.drop_pp:+.2f} pp)",
        f"{report.controls['unprotected'].envelope.slc_auc:+.3f}",
        *(_auc(report.attacks, name) for name in _FREE + _KEPT),
        f"{envelope.slc_auc:+.3f} ({envelope.mean_gap:+.3f}, {envelope.ci95[0]:+.3f} to "
        f"{envelope.ci95[1]:+.3f})",
        f"{_auc(report.controls['magnitude'].attacks, _FREE[1])} / "
        f"{_auc(report.controls['magnitude'].attacks, _KEPT[1])}",
        _auc(report.controls["random"].attacks, _FREE[1]),
    ]
    return "| " + " | ".join(cells) + " |"


def _auc(attacks: dict[str, Curve], name: str) -> str:
    return f"{attacks[name].slc_auc:+.3f}" if name in attacks else "–"


def _cost(name: str, report: Report, run: dict[str, Any]) -> str:
    stages = ", ".join(
        f"{stage} {note['seconds']:.0f} s (peak {note['peak_memory_mb']} MB)"
        for stage, note in run["stages"].items()
    )
    flags = ", ".join(flag.name for flag in report.flags) or "none"
    commands = "\n".join(f"  - `{note['command']}`" for note in run["stages"].values())
    budgets = ", ".join(map(str, report.budgets))
    return (
        f"- **{name}**: {report.protocol}, budgets {budgets}; {stages}; {report.cost.jobs} jobs; "
        f"flags: {flags}\n{commands}"
    )
