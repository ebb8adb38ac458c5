"""The figures of one audit. Each is drawn for a wide and for a narrow page."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ntprune.audit.schema import Report, ScratchCurve
from ntprune.report.history import draw_history, panels_of
from ntprune.report.load import Audit
from ntprune.report.svg import (
    INK,
    MUTED,
    NARROW,
    PAPER,
    RELEASE,
    SCRATCH,
    SERIES,
    UNPROTECTED,
    WIDE,
    plain_axes,
    to_svg,
)
from ntprune.report.text import clean, number, percent, points
from ntprune.report.verdict import confidence

_LINES = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)), (0, (1, 2)))
_MARKERS = ("s", "^", "D", "v", "P", "X")
MOST_LAYERS = 48


@dataclass(frozen=True)
class Picture:
    """A figure: what it shows in words, and its drawing for a wide and a narrow page."""

    caption: str
    wide: str
    narrow: str


def pictures(audit: Audit, key: str, protocol: str) -> dict[str, Picture]:
    """All figures of `audit` by name; `key` is unique in the page."""
    report = audit.report
    target, source = clean(report.target), clean(report.source.name)
    lanes = len(_gap_rows(report)[0])
    models = 1 + len(audit.pruned)
    layers = sorted(audit.card.layers.items(), key=lambda item: item[1])[:MOST_LAYERS]
    kept = {name for name, _ in layers}
    layers = [(name, share) for name, share in audit.card.layers.items() if name in kept]
    densest = f" The {MOST_LAYERS} densest are shown." if len(audit.card.layers) > len(kept) else ""
    omitted = _gap_rows(report)[1]
    aside = f" Off this scale, see the table: {', '.join(omitted)}." if omitted else ""
    made = {
        "slc": _picture(
            f"{key}-slc",
            f"Accuracy on {target} by the number of labelled images the thief has; bands are one "
            f"standard deviation over runs; {protocol}. Where the thick line is below training "
            'from scratch, the file is worth less than nothing to a thief; what "protected" asks '
            "for beside is in the verdict.",
            (_slc_height(report, WIDE), _slc_height(report, NARROW)),
            lambda figure, width: _curves(report, figure, width),
        ),
        "gaps": _picture(
            f"{key}-gaps",
            "Mean gap to training from scratch in accuracy points; whiskers are "
            f"95\u00a0% intervals; {protocol}.{aside}",
            (64 + 30 * lanes, 64 + 44 * lanes),
            lambda figure, width: _gaps(report, figure, width),
        ),
        "source": _picture(
            f"{key}-source",
            f"Test accuracy on {source} before (open) and after (filled) protection, and of the "
            f"pruned controls; {protocol}.",
            (70 + 34 * models, 70 + 44 * models),
            lambda figure, width: _source(audit, figure, width),
        ),
        "layers": _picture(
            f"{key}-layers",
            "Share of weights that are exactly zero in each layer with a mask, from the release's "
            f"card.{densest}",
            (60 + 22 * len(layers), 60 + 22 * len(layers)),
            lambda figure, width: _layers(layers, figure, width),
        ),
    }
    panels = panels_of(audit.history)
    if panels:
        rows = math.ceil(len(panels) / 2)
        made["history"] = _picture(
            f"{key}-history",
            "Training of the release by optimiser step, as the defender recorded it.",
            (40 + 190 * rows, 40 + 190 * len(panels)),
            lambda figure, width: draw_history(panels, figure, width),
        )
    return made


def _picture(
    key: str, caption: str, heights: tuple[int, int], draw: Callable[[Figure, int], None]
) -> Picture:
    return Picture(
        caption,
        to_svg(f"{key}-w", caption, WIDE, heights[0], draw),
        to_svg(f"{key}-n", caption, NARROW, heights[1], draw),
    )


def _curves(report: Report, figure: Figure, width: int) -> None:
    axes = figure.add_subplot()
    budgets = report.budgets

    def line(curve: ScratchCurve, label: str, band: float = 0.0, **style: Any) -> None:
        mean = [100 * value for value in curve.curve]
        axes.plot(budgets, mean, label=clean(label, 26), **style)
        if band:
            low = [100 * (m - s) for m, s in zip(curve.curve, curve.spread, strict=True)]
            high = [100 * (m + s) for m, s in zip(curve.curve, curve.spread, strict=True)]
            axes.fill_between(budgets, low, high, color=style["color"], alpha=band, linewidth=0)

    line(report.scratch, "from scratch", 0.16, color=SCRATCH, linestyle="--", linewidth=2)
    bare = report.controls.get("unprotected")
    if bare is not None:
        style = {"color": UNPROTECTED, "linestyle": "-.", "linewidth": 2}
        line(bare.envelope, "unprotected model", 0.14, **style)
    label = "this file, thief's choice"
    line(report.envelope, label, 0.18, color=RELEASE, linewidth=5, solid_capstyle="round")
    for index, (name, curve) in enumerate(report.attacks.items()):
        line(
            curve,
            name,
            color=SERIES[index % len(SERIES)],
            linestyle=_LINES[(index + index // len(SERIES)) % len(_LINES)],
            marker=_MARKERS[index % len(_MARKERS)],
            markersize=6.5,
            markeredgecolor=PAPER,
            markeredgewidth=0.7,
            linewidth=1.3,
        )
    _budget_axis(axes, budgets, width)
    low, high = axes.get_ylim()
    axes.set_ylim(max(0, low), min(101, high))
    axes.set_ylabel("accuracy, %")
    plain_axes(axes, "y")
    figure.legend(
        loc="outside lower left",
        ncols=_columns(report, width),
        labelcolor=INK,
        columnspacing=1.6,
    )


def _budget_axis(axes: Axes, budgets: Sequence[int], width: int) -> None:
    axes.set_xscale("log")
    wanted = max(2, width // 60)
    step = max(1, math.ceil(len(budgets) / wanted))
    shown = [b for index, b in enumerate(reversed(budgets)) if index % step == 0]
    axes.set_xticks(shown, [f"{budget:,}" for budget in shown])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("labelled images the thief has")


def _columns(report: Report, width: int) -> int:
    """Columns of the legend of the learning curves."""
    longest = max(len(clean(name, 26)) for name in ("this file, thief's choice", *report.attacks))
    return max(1, min(4, width // (7 * longest + 50)))


def _slc_height(report: Report, width: int) -> int:
    rows = math.ceil((3 + len(report.attacks)) / _columns(report, width))
    return (380 if width == WIDE else 310) + 18 * rows


def _gap_rows(report: Report) -> tuple[list[tuple[str, float, Any, str]], list[str]]:
    """Name, mean gap, interval and colour of each bar; and the controls that are off the scale."""
    rows = [("this file", report.envelope.mean_gap, confidence(report.envelope), RELEASE)]
    rows += [(name, curve.mean_gap, None, SERIES[0]) for name, curve in report.attacks.items()]
    omitted = []
    reach = max(abs(row[1]) for row in rows)
    for name, control in report.controls.items():
        gap = control.envelope.mean_gap
        if name == "null" and abs(gap) > max(0.1, 2 * reach):
            omitted.append("null (no training)")
            continue
        reach = max(reach, abs(gap))
        rows.append((name, gap, confidence(control.envelope), UNPROTECTED))
    return rows, omitted


def _gaps(report: Report, figure: Figure, width: int) -> None:
    axes = figure.add_subplot()
    rows, _ = _gap_rows(report)
    thick = 0.62 if width == WIDE else 0.4
    for place, (_, gap, ends, colour) in enumerate(rows):
        lane = place + _drop(width)
        attack = colour == SERIES[0]
        height, alpha = (0.7 * thick, 0.6) if attack else (thick, 1.0)
        axes.barh(lane, 100 * gap, height=height, alpha=alpha, color=colour)
        if ends is not None:
            reach = [[100 * max(0, gap - ends[0])], [100 * max(0, ends[1] - gap)]]
            axes.errorbar(100 * gap, lane, xerr=reach, color=INK, capsize=4, linewidth=1.4)
    _upright(axes, width, 0, len(rows), color=INK, linewidth=1.2)
    ends_of = [100 * end for row in rows for end in (row[1], *(row[2] or ()), 0)]
    room = 0.06 * (max(ends_of) - min(ends_of) or 1)
    axes.set_xlim(min(ends_of) - room, max(ends_of) + room)
    names = [_lane(row[0], report) for row in rows]
    _lanes(axes, width, names, [points(row[1]) for row in rows])
    axes.annotate(
        "scratch",
        (0, 1),
        xycoords=("data", "axes fraction"),
        xytext=(0, 3),
        textcoords="offset points",
        ha="center",
        color=MUTED,
        fontsize=11,
    )
    axes.set_xlabel("mean gap, points")


def _lane(name: str, report: Report) -> str:
    if name == "this file":
        return "this file, thief's choice"
    return f"– {name}" if name in report.attacks else f"control: {name}"


def _lanes(axes: Axes, width: int, names: Sequence[str], values: Sequence[str]) -> None:
    """Names at the left, or above each row on a narrow page; values at the right."""
    axes.set_ylim(len(names) - 0.5, -0.5)
    plain_axes(axes, "x")
    if width < WIDE:
        axes.set_yticks([])
        for lane, name in enumerate(names):
            _beside(axes, clean(name, 34), 0.0, lane - 0.3, "left", INK)
        axes.set_ylim(len(names) - 0.5, -0.62)
    else:
        axes.set_yticks(range(len(names)), [clean(name, 36) for name in names])
        axes.tick_params(axis="y", labelcolor=INK)
    for lane, value in enumerate(values):
        _beside(axes, value, 1.02, lane + _drop(width), "left", INK)


def _drop(width: int) -> float:
    """How far below the middle of its lane a mark is drawn: a narrow page has names above it."""
    return 0.0 if width == WIDE else 0.14


def _upright(axes: Axes, width: int, x: float, lanes: int, **style: Any) -> None:
    """A vertical line that leaves out the names of a narrow page."""
    if width == WIDE:
        axes.axvline(x, **style)
        return
    for lane in range(lanes):
        axes.plot([x, x], [lane - 0.12, lane + 0.42], **style)


def _beside(axes: Axes, text: str, x: float, lane: float, align: str, colour: str) -> None:
    axes.text(
        x, lane, text, transform=axes.get_yaxis_transform(), va="center", ha=align, color=colour,
        fontsize=11,
    )  # fmt: skip


def _source(audit: Audit, figure: Figure, width: int) -> None:
    axes = figure.add_subplot()
    change = audit.report.source
    before, after = 100 * change.before, 100 * change.after
    drop = _drop(width)
    dashed = {"color": SCRATCH, "linestyle": "--", "linewidth": 1}
    _upright(axes, width, before, 1 + len(audit.pruned), **dashed)
    axes.plot([before, after], [drop, drop], color=RELEASE, linewidth=3)
    axes.plot([before], [drop], "o", color=RELEASE, markerfacecolor=PAPER, markersize=9)
    axes.plot([after], [drop], "o", color=RELEASE, markersize=9)
    names, values = ["this file"], [f"{number(before, 1)} → {percent(change.after)}"]
    reached = [before, after]
    for place, (name, control) in enumerate(audit.pruned.items(), 1):
        lane, share = place + drop, control.source
        axes.plot([before, 100 * share], [lane, lane], color=UNPROTECTED, linewidth=1.5, alpha=0.5)
        axes.plot([100 * share], [lane], "D", color=UNPROTECTED, markersize=7)
        names.append(f"control: {name}")
        values.append(percent(share))
        reached.append(100 * share)
    room = max(0.5, 0.06 * (max(reached) - min(reached)))
    axes.set_xlim(min(reached) - room, max(reached) + room)
    _lanes(axes, width, names, values)
    axes.set_xlabel("source accuracy, %")


def _layers(layers: Sequence[tuple[str, float]], figure: Figure, width: int) -> None:
    axes = figure.add_subplot()
    lanes = range(len(layers))
    axes.barh(lanes, [100.0] * len(layers), color=MUTED, alpha=0.14, height=0.66)
    axes.barh(lanes, [100 * share for _, share in layers], color=RELEASE, height=0.66)
    axes.set_xlim(0, 100)
    axes.set_ylim(len(layers) - 0.4, -0.6)
    limit = 40 if width == WIDE else 20
    axes.set_yticks(lanes, [clean(name, limit) for name, _ in layers])
    axes.tick_params(axis="y", labelcolor=INK)
    plain_axes(axes, "x")
    for lane, (_, share) in enumerate(layers):
        _beside(axes, percent(share), 1.02, lane, "left", INK)
    axes.set_xlabel("weights that are zero, %")
