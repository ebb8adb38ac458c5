"""What the figures of studies have in common."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ntprune.experiments.study.record import Group, Record
from ntprune.report.svg import (
    INK,
    MUTED,
    PAPER,
    RELEASE,
    SCRATCH,
    SERIES,
    UNPROTECTED,
)

AREA = "SLC-AUC, mask ignored"
BARE: dict[str, Any] = {
    "color": UNPROTECTED,
    "linestyle": (0, (4, 1, 1, 1)),
    "linewidth": 1.5,
}
NOTHING: dict[str, Any] = {"color": SCRATCH, "linestyle": ":", "linewidth": 1.5}


@dataclass(frozen=True)
class Look:
    """Of a series: never told by its colour alone."""

    colour: str
    marker: str
    line: Any

    @property
    def style(self) -> dict[str, Any]:
        """Of its line and markers."""
        return {
            "color": self.colour,
            "marker": self.marker,
            "linestyle": self.line,
            "linewidth": 2,
            "markersize": 7.5,
            "markeredgecolor": PAPER,
            "markeredgewidth": 0.8,
        }


LOOKS = (
    Look(RELEASE, "o", "-"),
    Look(SERIES[1], "s", "--"),
    Look(SERIES[0], "^", "-."),
)


def curve(
    axes: Axes,
    groups: Sequence[Group],
    x: str,
    y: str,
    look: Look,
    label: str,
    scale: float = 1.0,
) -> None:
    """Means of `y` (times `scale`) over `x`, with their intervals."""
    there = [group for group in groups if group.measured]
    places = [group.mean(x) for group in there]
    axes.plot(places, [scale * group.mean(y) for group in there], label=label, **look.style)
    for place, group in zip(places, there, strict=True):
        ends = group.ends(y)
        if ends is not None:
            axes.plot(
                [place, place],
                [scale * end for end in ends],
                color=look.colour,
                linewidth=1.3,
                alpha=0.6,
                solid_capstyle="butt",
            )


def levels(axes: Axes, record: Record) -> None:
    """What a thief has with the unprotected model, and without any."""
    if record.unprotected is not None:
        axes.axhline(record.unprotected.slc_auc, label="unprotected model", **BARE)
    axes.axhline(0, label="training from scratch", **NOTHING)


def legend(figure: Figure, axes: Axes, columns: int) -> None:
    """That of `axes`, below everything."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower left", ncols=columns, labelcolor=INK, columnspacing=1.6
    )


def caption(figure: Figure, record: Record, marks: str = "") -> None:
    """What the numbers are, in small print above everything: the figure may travel alone.

    Args:
        figure: whose layout is fixed here, too.
        record: whose numbers are drawn.
        marks: what else a mark means, as a sentence.
    """
    said = [
        f"{record.pair}, {record.protocol}.",
        f"Whiskers: 95 % intervals {record.intervals}. {marks}",
    ]
    left_out = [group.label for group in record.groups() if group.refused]
    if left_out:
        said.append(f"Not inside the constraint: {'; '.join(left_out)}.")
    lines = [line for words in said for line in textwrap.wrap(words, 128)]
    figure.suptitle("\n".join(lines), x=0.01, ha="left", fontsize=10.5, color=MUTED)
    figure.set_layout_engine("constrained", w_pad=0.1, h_pad=0.08)
