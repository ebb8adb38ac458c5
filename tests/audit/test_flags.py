"""Every flag: raised, and not raised just below its threshold."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.release.toys import PROTOCOL

from ntprune.audit import Recipe
from ntprune.audit.flags import CHECKS, Evidence, raise_flags
from ntprune.audit.points import Point
from ntprune.audit.schema import Control, Curve, Envelope, Missing, ScratchCurve

WIDE = PROTOCOL.model_copy(update={"recipe": Recipe(lrs=(1e-3, 3e-3, 1e-2))})


def curve(*values: float, gap: float = -0.1) -> Curve:
    return Curve(curve=list(values), spread=[0.0] * len(values), slc_auc=gap, mean_gap=gap)


def envelope(low: float, high: float) -> Envelope:
    values = curve(0.5, 0.6, 0.7, gap=(low + high) / 2)
    return Envelope(**values.model_dump(), ci95=(low, high), chosen=[{"finetune": 2}] * 3)


def unprotected(low: float, high: float) -> dict[str, Control]:
    best = envelope(low, high)
    return {"unprotected": Control(source=0.9, sparsity=0, attacks={}, envelope=best)}


def points(*lrs: float, n: int = 64, subject: str = "release", **changes: Any) -> list[Point]:
    values = {"first_loss": 2.0, "last_loss": 0.5} | changes
    return [
        Point(subject, "finetune", n, s, 0.5, 0.5, 1.0, lr, **values) for s, lr in enumerate(lrs)
    ]


CALM = Evidence(
    protocol=WIDE,
    budgets=[8, 64, 512],
    classes=4,
    points=points(1e-3, 3e-3, 1e-2),
    scratch=ScratchCurve(curve=[0.4, 0.6, 0.8], spread=[0.0] * 3),
    attacks={
        "finetune": curve(0.4, 0.5, 0.6, gap=-0.1),
        "masked": curve(0.4, 0.5, 0.6, gap=-0.1),
    },
    envelope=envelope(-0.2, -0.1),
    controls=unprotected(0.1, 0.3),
)

CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "void": ("void", {"controls": unprotected(0.0, 0.3)}, {"controls": unprotected(1e-6, 0.3)}),
    "void without the control": ("void", {"controls": {}}, {}),
    "highest rate": (
        "rate-on-edge",
        {"points": points(1e-2, 1e-2, 3e-3)},
        {"points": points(1e-2, 1e-2, 3e-3, 3e-3)},
    ),
    "lowest rate": (
        "rate-on-edge",
        {"points": points(1e-3, 1e-3, 3e-3)},
        {"points": points(1e-3, 3e-3, 3e-3)},
    ),
    "rates at the smallest budget": (
        "rate-on-edge",
        {"points": points(1e-2, 1e-2) + points(3e-3, 3e-3, 3e-3, n=8)},
        {"points": points(3e-3, 3e-3) + points(1e-2, 1e-2, 1e-2, n=8)},
    ),
    "rates of others": (
        "rate-on-edge",
        {"points": points(1e-2) + points(3e-3, 3e-3, subject="scratch")},
        {"points": points(3e-3) + points(1e-2, 1e-2, subject="scratch")},
    ),
    "loss": (
        "loss-did-not-fall",
        {"points": points(3e-3, first_loss=2.0, last_loss=1.91)},
        {"points": points(3e-3, first_loss=2.0, last_loss=1.89)},
    ),
    "loss, scratch": (
        "loss-did-not-fall",
        {"points": points(3e-3, subject="scratch", last_loss=2.5)},
        {"points": points(3e-3, subject="scratch", first_loss=0.09, last_loss=0.09)},
    ),
    "spread": (
        "spread-hides-effect",
        {"envelope": envelope(-0.2, 0.01)},
        {"envelope": envelope(-0.2, 0.0)},
    ),
    "mask": (
        "mask-free-stronger",
        {"attacks": {"finetune": curve(0.5, gap=-0.04), "masked": curve(0.5, gap=-0.1)}},
        {"attacks": {"finetune": curve(0.5, gap=-0.06), "masked": curve(0.5, gap=-0.1)}},
    ),
    "mask, new head": (
        "mask-free-stronger",
        {
            "attacks": {
                "finetune-new-head": curve(0.5, gap=0.1),
                "masked-new-head": curve(0.5, gap=0.0),
            }
        },
        {"attacks": {"finetune-new-head": curve(0.5, gap=0.1)}},
    ),
    "scratch": (
        "scratch-not-monotone",
        {"scratch": ScratchCurve(curve=[0.4, 0.6, 0.58], spread=[0.0] * 3)},
        {"scratch": ScratchCurve(curve=[0.4, 0.6, 0.595], spread=[0.0] * 3)},
    ),
    "chance": (
        "chance-level",
        {"attacks": {"finetune": curve(0.25, 0.26, 0.2)}},
        {"attacks": {"finetune": curve(0.25, 0.28, 0.2)}},
    ),
    "missing": (
        "points-missing",
        {"missing": [Missing(subject="random", reason="it broke")]},
        {"missing": []},
    ),
    "few samples": ("budget-below-classes", {"budgets": [2, 64, 512]}, {"budgets": [4, 64, 512]}),
}


def raised(**changes: Any) -> list[str]:
    return [flag.name for flag in raise_flags(replace(CALM, **changes))]


def test_calm_evidence_raises_nothing() -> None:
    assert raised() == []


@pytest.mark.parametrize(("name", "stirred", "calm"), CASES.values(), ids=CASES.keys())
def test_flag(name: str, stirred: dict[str, Any], calm: dict[str, Any]) -> None:
    assert name in raised(**stirred)
    assert name not in raised(**calm)
    (flag,) = (f for f in raise_flags(replace(CALM, **stirred)) if f.name == name)
    assert "\n" not in flag.message
    assert len(flag.message) > 40


def test_every_check_is_tested_and_explained() -> None:
    tested = {name for name, _, _ in CASES.values()}
    assert len(tested) == len(CHECKS)
    page = Path(__file__).parents[2] / "docs" / "flags.md"
    assert set(re.findall(r"^## (\S+)", page.read_text(), re.MULTILINE)) == tested


def test_two_rates_have_no_inside() -> None:
    assert raised(protocol=PROTOCOL, points=points(1e-2, 1e-2)) == []


def test_messages_say_where() -> None:
    (void,) = raise_flags(replace(CALM, controls=unprotected(-0.05, 0.3)))
    assert "mean gap +0.125, interval from -0.050" in void.message
    (falls,) = raise_flags(
        replace(CALM, scratch=ScratchCurve(curve=[0.6, 0.4, 0.3], spread=[0.0] * 3))
    )
    assert "8 to 64, 64 to 512" in falls.message
