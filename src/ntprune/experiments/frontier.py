"""What a point of source accuracy buys: sparsity, the Fisher term or lookahead."""

from __future__ import annotations

from matplotlib.figure import Figure

from ntprune.experiments.common.named_pairs import Pair
from ntprune.experiments.study.drawing import AREA, LOOKS, caption, curve, legend, levels
from ntprune.experiments.study.record import Record
from ntprune.experiments.study.variants import Study, Variant, source_only
from ntprune.report.svg import INK, plain_axes

DROPS = (0.25, 0.5, 1.0, 2.0, 4.0)
SPARSITIES = (0.8, 0.9, 0.95, 0.98, 0.99)
# Each part by itself, so that all series begin at the unprotected model.
ALONE = {"sparsity": 0.0, "alpha": 0.0, "fisher": 0.0, "lookahead": 0.0}
PARTS = {"Fisher term": {"fisher": 10.0}, "lookahead": {"lookahead": 3.0}}
WHOLE = "all three"


def variants(pair: Pair) -> list[Variant]:
    """Two parts at each drop that is allowed, sparsity at each share, and the whole method.

    Nothing turns accuracy into sparsity but more sparsity; of the target terms the constraint
    decides how much is spent, and their weights only what it is spent on.
    """
    pruned = [
        Variant(
            f"sparsity {share:.2f}", "admm", source_only(pair, "admm", share), "sparsity", share
        )
        for share in SPARSITIES
    ]
    pushed = [
        Variant(
            f"{part}, {drop:g} pp allowed",
            "ntp",
            pair.settings | ALONE | weights | {"max_source_drop": drop},
            part,
            drop,
        )
        for part, weights in PARTS.items()
        for drop in DROPS
    ]
    return [*pruned, *pushed, Variant(WHOLE, "ntp", pair.settings, WHOLE)]


def draw(record: Record, figure: Figure) -> None:
    """SLC-AUC over the drop, on the test split and on the one where the constraint holds."""
    axes = figure.subplots(1, 2, sharey=True)
    names = ("test", "validation")
    for panel, name in zip(axes, names, strict=True):
        drop = f"drop_{name}_pp"
        levels(panel, record)
        for look, part in zip(LOOKS, ("sparsity", *PARTS), strict=True):
            curve(panel, record.groups(part), drop, "slc_auc", look, f"{part} alone")
        for group in record.groups(WHOLE):
            if group.measured:
                panel.plot(
                    [group.mean(drop)],
                    [group.mean("slc_auc")],
                    "*",
                    color=INK,
                    markersize=13,
                    label="whole method",
                    linestyle="none",
                )
        panel.set_xlim(left=min(0.0, panel.get_xlim()[0]))
        plain_axes(panel, "y")
        panel.set_xlabel(f"source accuracy lost, points ({name})")
    axes[0].set_ylabel(AREA)
    legend(figure, axes[0], 3)
    caption(figure, record)


FRONTIER = Study(
    name="frontier",
    question="Is source accuracy better spent on sparsity, on the Fisher term or on lookahead?",
    variants=variants,
    draw=draw,
    height=480,
    seeds=1,
)
