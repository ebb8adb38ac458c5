"""Evidence that raises no flag, and what it takes to stir it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from tests.release.toys import PROTOCOL

from ntprune.audit import Recipe
from ntprune.audit.fingerprint import filter_directions
from ntprune.audit.flags.evidence import Evidence
from ntprune.audit.points import Point
from ntprune.audit.right import packed
from ntprune.audit.schema import Control, Curve, Envelope, ScratchCurve

# What the source job says of a file, where nothing is of interest.
QUIET: dict[str, dict[str, Any]] = {
    name: {}
    for name in ("scales", "whole_scales", "directions", "head_directions", "strays", "lone")
} | {"right": packed(torch.ones(100, dtype=torch.bool))}

WIDE = PROTOCOL.model_copy(update={"recipe": Recipe(lrs=(1e-3, 3e-3, 1e-2)), "seeds": 3})


def curve(*values: float, gap: float = -0.1) -> Curve:
    return Curve(curve=list(values), spread=[0.0] * len(values), slc_auc=gap, mean_gap=gap)


def envelope(low: float, high: float) -> Envelope:
    values = curve(0.5, 0.6, 0.7, gap=(low + high) / 2)
    return Envelope(
        **values.model_dump(exclude={"ci95"}), ci95=(low, high), chosen=[{"finetune": 2}] * 3
    )


def unprotected(low: float, high: float) -> dict[str, Control]:
    best = envelope(low, high)
    return {"unprotected": Control(source=0.9, sparsity=0, attacks={}, envelope=best)}


def magnitude(gap: float, sparsity: float = 0.9, **attacks: float) -> dict[str, Control]:
    best = envelope(gap, gap)
    made = gaps(**attacks)["attacks"]
    return {"magnitude": Control(source=0.9, sparsity=sparsity, attacks=made, envelope=best)}


def gaps(**gap: float) -> dict[str, Any]:
    """Attacks by name, `_` for `-`, and their mean gaps."""
    return {
        "attacks": {name.replace("_", "-"): curve(0.4, 0.5, 0.6, gap=g) for name, g in gap.items()}
    }


def points(*lrs: float, n: int = 64, subject: str = "release", **changes: Any) -> list[Point]:
    values = {"first_loss": 2.0, "last_loss": 0.5} | changes
    return [
        Point(subject, "finetune", n, s, 0.5, 0.5, 1.0, lr, **values) for s, lr in enumerate(lrs)
    ]


def other(attack: str, *lrs: float) -> list[Point]:
    return [replace(p, attack=attack) for p in points(*lrs)]


VARIED = WIDE.model_copy(update={"variants": {"sgd": Recipe(lrs=(3e-3, 1e-2, 3e-2, 1e-1))}})
FILTERS = torch.randn(100, 36, generator=torch.Generator().manual_seed(0))
(BARE,) = filter_directions({"a": FILTERS}).values()


def turned(count: int) -> str:
    """`BARE` with the first `count` of its 100 filters pointing elsewhere."""
    changed = FILTERS.clone()
    changed[:count] = changed[:count].flip(1)
    return filter_directions({"a": changed})["a"]


RISING = points(1e-3, 3e-3, falling=0.3)

CALM = Evidence(
    protocol=WIDE,
    budgets=[8, 64, 512],
    classes=4,
    guess=0.25,
    points=points(1e-3, 3e-3, 1e-2),
    scratch=ScratchCurve(curve=[0.4, 0.6, 0.8], spread=[0.0] * 3),
    attacks={
        "finetune": curve(0.4, 0.5, 0.6, gap=-0.1),
        "masked": curve(0.4, 0.5, 0.6, gap=-0.1),
    },
    envelope=envelope(-0.12, -0.07),
    controls=unprotected(0.1, 0.3),
)


FIVE: dict[str, Any] = {"protocol": WIDE.model_copy(update={"seeds": 5})}


def ahead(*gains: float, n: int = 64) -> dict[str, Any]:
    """Accuracies of one attack, a seed each, above a scratch of one half."""
    rates = [3e-3] * len(gains)
    above = zip(points(*rates, n=n), gains, strict=True)
    return {
        "points": [replace(p, accuracy=0.5 + gain) for p, gain in above]
        + points(*rates, n=n, subject="scratch")
    }
