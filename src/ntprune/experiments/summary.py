"""One table over recorded pairs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ntprune.audit.schema import Control, Curve, Envelope, Report

_COLUMNS = (
    "pair",
    "source test, before → after",
    "unprotected",
    "mask-free, head kept",
    "mask-free, new head",
    "mask-kept, head kept",
    "mask-kept, new head",
    "envelope (mean gap, 95 %)",
    "`paper/1`, envelope",
    "magnitude, mask-free / mask-kept",
    "source-only ADMM, mask-free / mask-kept",
)

_FREE = ("finetune", "finetune-new-head")
_KEPT = ("masked", "masked-new-head")


# The note of a pair of which nothing could be released.
REFUSED = "refused"


def summarise(results: Path) -> str:
    """Markdown over every `<pair>/report.json` and `<pair>/run.json` below `results`.

    Beside them may lie `paper.json` and `audit-source-only.json`, the other reports on the pair.

    Figures are SLC-AUC against scratch and, because budgets differ from pair to pair, the mean gap
    in brackets, the envelope's with its interval. What could not be released is said below.
    """
    rows, costs = [], []
    for place in sorted(p.parent for p in results.glob("*/run.json")):
        report = Report.model_validate_json((place / "report.json").read_bytes())
        run = json.loads((place / "run.json").read_text())
        rows.append(_row(place, report))
        costs.append(_cost(place.name, report, run))
    for file in sorted(results.glob(f"*/{REFUSED}.json")):
        reason = json.loads(file.read_bytes())["reason"]
        costs.append(f"- **{file.parent.name}**: no figures, {reason}")
    header = ["| " + " | ".join(_COLUMNS) + " |", "|" + "---|" * len(_COLUMNS)]
    units = "SLC-AUC against training from scratch, in brackets the mean gap."
    return "\n".join([*header, *rows, "", units, "", *costs]) + "\n"


def _row(place: Path, report: Report) -> str:
    source, envelope = report.source, report.envelope
    cells = [
        place.name,
        f"{100 * source.before:.2f} → {100 * source.after:.2f} % ({source.drop_pp:+.2f} pp)",
        _area(report.controls["unprotected"].envelope),
        *(_auc(report.attacks, name) for name in _FREE + _KEPT),
        f"{envelope.slc_auc:+.3f} ({envelope.mean_gap:+.3f}, {envelope.ci95[0]:+.3f} to "
        f"{envelope.ci95[1]:+.3f})",
        _area(polite.envelope) if (polite := _beside(place, "paper")) else "–",
        _pruned(report.controls.get("magnitude")),
        _pruned(_beside(place, "audit-source-only")),
    ]
    return "| " + " | ".join(cells) + " |"


def _beside(place: Path, name: str) -> Report | None:
    """Another report on the same pair, where there is one."""
    file = place / f"{name}.json"
    return Report.model_validate_json(file.read_bytes()) if file.exists() else None


def _pruned(control: Report | Control | None) -> str:
    """Of a control, where there is one: with a new head, which every pair has."""
    if control is None:
        return "–"
    return f"{_auc(control.attacks, _FREE[1])} / {_auc(control.attacks, _KEPT[1])}"


def _auc(attacks: dict[str, Curve], name: str) -> str:
    return _area(attacks[name]) if name in attacks else "–"


def _area(found: Curve | Envelope) -> str:
    return f"{found.slc_auc:+.3f} ({found.mean_gap:+.3f})"


def _cost(name: str, report: Report, run: dict[str, Any]) -> str:
    stages = ", ".join(
        f"{stage} {note['seconds']:.0f} s (peak {note['peak_memory_mb']} MB)"
        for stage, note in run["stages"].items()
    )
    flags = ", ".join(flag.name for flag in report.flags) or "none"
    commands = "\n".join(f"  - `{note['command']}`" for note in run["stages"].values())
    protocol = report.protocol
    if "budgets" not in protocol:  # a protocol that was reduced to some names them
        protocol += f", budgets {', '.join(map(str, report.budgets))}"
    return (
        f"- **{name}**: {protocol}; {stages}; {report.cost.jobs} jobs; flags: {flags}\n{commands}"
    )
