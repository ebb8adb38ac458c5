"""Small plots of what a method recorded while it trained."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from ntprune.report.svg import INK, RELEASE, SERIES, UNPROTECTED, WIDE, plain_axes
from ntprune.report.text import clean


@dataclass(frozen=True)
class Panel:
    """One small plot: its title, its lines (label, steps, values), and whether y is logarithmic."""

    title: str
    lines: tuple[tuple[str, list[float], list[float]], ...]
    log: bool


_KNOWN: tuple[tuple[str, dict[str, str], bool, float], ...] = (
    (
        "loss, nats",
        {"source_loss": "source", "target_loss": "target, clamped", "loss": "total"},
        False,
        1,
    ),
    ("Fisher ratio of target features", {"fisher": "Fisher ratio"}, False, 1),
    ("ADMM residuals", {"primal": "primal", "dual": "dual"}, True, 1),
    ("sparsity, %", {"sparsity": "sparsity"}, False, 100),
    ("source drop, points", {"drop_pp": "drop"}, False, 1),
    ("quick thief's success, nats", {"thief": "thief"}, False, 1),
    ("validation accuracy, %", {"validation": "validation"}, False, 100),
)
_MORE = 4


def panels_of(history: Sequence[dict[str, Any]]) -> list[Panel]:
    """Known quantities in their groups, then up to a few that are not known, one panel each.

    `thief: usps` is the part of `thief` that speaks of usps: a further line of its panel.
    """
    recorded = dict.fromkeys(key for record in history for key in record)
    groups = []
    for title, keys, log, scale in _KNOWN:
        split = ((key, *key.partition(": ")) for key in recorded)
        parts = {key: clean(part, 24) for key, whole, _, part in split if part and whole in keys}
        groups.append((title, keys | parts, log, scale))
    known = {key for _, keys, _, _ in groups for key in keys}
    rest = dict.fromkeys(
        key
        for record in history
        for key, value in record.items()
        if _finite(value) and key not in known | {"step", "phase", "rho", "strength"}
    )
    groups += [(key, {key: key}, False, 1.0) for key in list(rest)[:_MORE]]
    panels = []
    for title, keys, log, scale in groups:
        lines = []
        for key, label in keys.items():
            seen = [
                (_step(record, index), scale * record[key])
                for index, record in enumerate(history)
                if _finite(record.get(key)) and (record[key] > 0 or not log)
            ]
            if seen:
                lines.append((label, [x for x, _ in seen], [y for _, y in seen]))
        if lines:
            panels.append(Panel(clean(title, 40), tuple(lines), log))
    return panels


def _step(record: dict[str, Any], index: int) -> float:
    """Where `record` is drawn: at its step, or in its place where it doesn't say."""
    step = record.get("step")
    return float(step) if step is not None and _finite(step) else float(index)


def _finite(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= sys.float_info.max  # also an integer that no float can hold


def draw_history(panels: Sequence[Panel], figure: Figure, width: int) -> None:
    """Two columns on a wide page, one on a narrow one."""
    columns = 2 if width == WIDE else 1
    figure.set_layout_engine("constrained", h_pad=0.09, w_pad=0.09)
    for place, panel in enumerate(panels, 1):
        axes = figure.add_subplot(math.ceil(len(panels) / columns), columns, place)
        for index, (label, x, y) in enumerate(panel.lines):
            colour = (RELEASE, UNPROTECTED, SERIES[0])[index % 3]
            style = ("-", "--", "-.", ":")[index % 4]
            alone = "o" if len(x) == 1 else ""
            axes.plot(x, y, color=colour, linestyle=style, marker=alone, linewidth=1.8, label=label)
        axes.set_title(panel.title, loc="left", pad=6)
        if panel.log:
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axes.yaxis.set_minor_formatter(lambda value, _: "")
        if len(panel.lines) > 1:
            axes.legend(loc="best", labelcolor=INK)
        axes.locator_params(axis="x", nbins=5)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.set_xlabel("optimiser step")
        plain_axes(axes, "y")
