"""What each part of the method is good for: one off at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ntprune.experiments.common.named_pairs import Pair
from ntprune.experiments.study.drawing import AREA, BARE, LOOKS, NOTHING, caption
from ntprune.experiments.study.record import Group, Record
from ntprune.experiments.study.variants import Study, Variant
from ntprune.report.svg import INK, MUTED, PAPER, plain_axes

WHOLE = "whole method"
OFF: dict[str, dict[str, Any]] = {
    WHOLE: {},
    "no Fisher term": {"fisher": 0.0},
    "no target loss": {"alpha": 0.0, "thief_alpha": 0.0},
    "batch statistics alone": {"statistics": "batch"},
    "head fitted once": {"refit": 0},
    "scales free": {"scales": "free"},
    "no finish": {"finish": 0},
    "no lookahead": {"lookahead": 0.0},
    "magnitude, no ADMM": {"support": "magnitude"},
    "no sparsity": {"sparsity": 0.0},
}


def variants(pair: Pair) -> list[Variant]:
    """The method as it is used on the pair, whole and with each part off."""
    return [Variant(label, "ntp", pair.settings | off) for label, off in OFF.items()]


def draw(record: Record, figure: Figure) -> None:
    """One lane a variant: protection at the left, what it cost at the right."""
    groups = record.groups()
    area, drop = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    _lanes(area, groups, "slc_auc")
    _lanes(drop, groups, "drop_test_pp")
    for panel in (area, drop):
        panel.axvline(0, **NOTHING)
    for lane, group in enumerate(groups):
        if not group.measured:
            words = "nothing could be released"
            area.text(
                0.02,
                lane,
                words,
                transform=area.get_yaxis_transform(),
                va="center",
                color=MUTED,
                fontsize=11,
                bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 2},
            )
    _name(area, 0, "scratch")
    if record.unprotected is not None:
        level = record.unprotected.slc_auc
        area.axvline(level, **BARE)
        _name(area, level, "unprotected")
    area.set_yticks(range(len(groups)), [group.label for group in groups])
    area.set_ylim(len(groups) - 0.5, -0.5)
    area.set_xlabel(AREA)
    drop.set_xlabel("source accuracy lost, points (test)")
    for panel in (area, drop):
        plain_axes(panel, "x")
    area.tick_params(axis="y", labelcolor=INK)
    caption(figure, record, "Small marks are single protections.")


def _lanes(axes: Axes, groups: Sequence[Group], name: str) -> None:
    """Each protection as a small mark, their mean as a large one with its interval."""
    for lane, group in enumerate(groups):
        look = LOOKS[0 if group.label == WHOLE else 1]
        if not group.measured:
            continue
        ends = group.ends(name)
        if ends is not None:
            axes.plot(ends, [lane, lane], color=look.colour, linewidth=1.6, alpha=0.7)
        if len(group.measured) > 1:
            values = group.values(name)
            axes.plot(
                values, [lane] * len(values), "o", color=look.colour, alpha=0.55, markersize=5
            )
        axes.plot([group.mean(name)], [lane], **look.style)


def _name(axes: Axes, x: float, words: str) -> None:
    axes.annotate(
        words,
        (x, 1),
        xycoords=("data", "axes fraction"),
        xytext=(0, 4),
        textcoords="offset points",
        ha="center",
        color=MUTED,
        fontsize=11,
    )


ABLATION = Study(
    name="ablation",
    question="What is each part of the method good for?",
    variants=variants,
    draw=draw,
    height=430,
    seeds=3,
)
