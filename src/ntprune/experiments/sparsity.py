"""Protection and source accuracy as sparsity rises (Ding et al. 2024, figure 4)."""

from __future__ import annotations

from matplotlib.figure import Figure

from ntprune.experiments.common.named_pairs import Pair
from ntprune.experiments.study.drawing import (
    AREA,
    BARE,
    LOOKS,
    caption,
    curve,
    legend,
    levels,
)
from ntprune.experiments.study.record import Record
from ntprune.experiments.study.variants import Study, Variant, source_only
from ntprune.report.svg import plain_axes

SPARSITIES = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
SERIES = {
    "ntp": "ntp",
    "admm": "ADMM on the source alone",
    "magnitude": "magnitude pruning",
}


def variants(pair: Pair) -> list[Variant]:
    """The method and two controls that never see the target, at equal sparsity and steps."""
    return [
        Variant(
            f"{SERIES[method]}, {share:.2f}",
            method,
            pair.settings | {"sparsity": share}
            if method == "ntp"
            else source_only(pair, method, share),
            method,
            share,
        )
        for method in SERIES
        for share in SPARSITIES
    ]


def draw(record: Record, figure: Figure) -> None:
    """SLC-AUC and source accuracy over sparsity, on the scale of what is kept."""
    area, source = figure.subplots(1, 2)
    levels(area, record)
    for look, (method, label) in zip(LOOKS, SERIES.items(), strict=True):
        groups = record.groups(method)
        curve(area, groups, "kept", "slc_auc", look, label)
        curve(source, groups, "kept", "source_test", look, label, 100)
    if record.unprotected is not None:
        source.axhline(100 * record.unprotected.source_test, **BARE)
    for panel, words in ((area, AREA), (source, "source test accuracy, %")):
        panel.set_xscale("log")
        panel.invert_xaxis()
        panel.set_xticks(
            [1 - share for share in SPARSITIES], [f"{100 * share:.0f}" for share in SPARSITIES]
        )
        panel.set_xticks([], minor=True)
        plain_axes(panel, "y")
        panel.set_xlabel("weights that are zero, %")
        panel.set_ylabel(words)
    legend(figure, area, 3)
    caption(figure, record)


SPARSITY = Study(
    name="sparsity",
    question="What does sparsity do for the protection, with the target terms and without?",
    variants=variants,
    draw=draw,
    height=460,
    seeds=1,
)
