"""Every flag: raised, and not raised just below its threshold."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.audit.evidence import (
    BARE,
    CALM,
    FIVE,
    RISING,
    VARIED,
    WIDE,
    ahead,
    curve,
    envelope,
    gaps,
    magnitude,
    other,
    points,
    turned,
    unprotected,
)
from tests.release.toys import PROTOCOL

from ntprune.audit import Recipe
from ntprune.audit.flags import CHECKS, raise_flags
from ntprune.audit.protocol import PAPER
from ntprune.audit.schema import Missing, ScratchCurve

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
    "rates of one attack among others": (
        "rate-on-edge",
        {"points": points(1e-2, 1e-2) + other("regrow", 1e-3, 3e-3, 3e-3, 1e-2, 1e-3)},
        {"points": points(1e-2, 3e-3) + other("regrow", 1e-2, 1e-3, 3e-3)},
    ),
    "rates of a variant": (
        "rate-on-edge",
        {"protocol": VARIED, "points": other("finetune@sgd", 1e-1, 1e-1)},
        {"protocol": VARIED, "points": other("finetune@sgd", 1e-2, 1e-2)},
    ),
    "ahead at a budget": (
        "head-start-at-some-budget",
        ahead(0.02, 0.02, 0.0201),
        ahead(0.02, 0.01, 0.03),
    ),
    "ahead in each of five cases": (
        "head-start-at-some-budget",
        FIVE | ahead(0.001, 0.03, 0.002, 0.003, 0.004),
        FIVE | ahead(0.001, 0.01, 0.002, 0.003, 0.004),
    ),
    "ahead in four of five": (
        "head-start-at-some-budget",
        FIVE | ahead(0.02, 0.01, 0.02, 0.01, 0.001),
        FIVE | ahead(0.02, 0.04, 0.02, 0.03, -0.03),
    ),
    "ahead in four of five, one lost": (
        "head-start-at-some-budget",
        {**FIVE, "points": ahead(0.02, 0.01, 0.02, 0.01, 0.02)["points"][:-1]},
        {**FIVE, "points": ahead(0.02, -0.01, 0.02, 0.001, 0.02)["points"][:-1]},
    ),
    "ahead at two of three budgets": (
        "head-start-at-some-budget",
        {"points": ahead(0.02, 0.021, 0.022, n=8)["points"] + ahead(0.01, 0.012, 0.014)["points"]},
        {"points": ahead(0.02, -0.021, 0.022, n=8)["points"] + ahead(0.01, 0.012, 0.03)["points"]},
    ),
    "ahead by the same everywhere": (
        "head-start-at-some-budget",
        ahead(0.01, 0.01, 0.01),
        ahead(0.0, 0.0, 0.0),
    ),
    "behind": ("head-start-at-some-budget", ahead(0.01, 0.01, 0.01), ahead(-0.1, -0.1, -0.1)),
    "one attack is better than the choice": (
        "envelope-below-an-attack",
        gaps(finetune=-0.2, regrow=-0.08),
        gaps(finetune=-0.2, regrow=-0.09),
    ),
    "rates of others": (
        "rate-on-edge",
        {"points": points(1e-2) + points(3e-3, 3e-3, subject="magnitude")},
        {"points": points(3e-3) + points(1e-2, 1e-2, subject="magnitude")},
    ),
    "rates of scratch": (
        "rate-on-edge",
        {"points": points(3e-3) + points(1e-2, 1e-2, subject="scratch")},
        {"points": points(1e-2, 3e-3) + points(1e-2, 3e-3, subject="scratch")},
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
    "mask, regrown": (
        "mask-free-stronger",
        gaps(finetune=-0.1, regrow=-0.04, masked=-0.1),
        gaps(finetune=-0.1, regrow=-0.06, masked=-0.1),
    ),
    "rescaling": (
        "normalisation-games",
        gaps(finetune=-0.3, finetune_new_head=-0.1, rescale=-0.04),
        gaps(finetune=-0.1, finetune_new_head=-0.3, rescale=-0.06),
    ),
    "statistics": (
        "normalisation-games",
        gaps(finetune_new_head=-0.1, bn_finetune=0.1),
        gaps(bn_finetune=0.1),
    ),
    "a new head": (
        "head-only",
        gaps(finetune=0.06, finetune_new_head=0.12),
        gaps(finetune=0.06, finetune_new_head=0.11),
    ),
    "a probe": (
        "head-only",
        gaps(finetune=-0.2, linear_probe=0.0, probe_finetune=0.15),
        gaps(finetune=-0.2, linear_probe=0.0, probe_finetune=0.11),
    ),
    "a new head where there is no head start": (
        "head-only",
        gaps(finetune=-0.2, finetune_new_head=0.15),
        gaps(finetune=-0.2, finetune_new_head=0.0) | {"controls": unprotected(-0.2, -0.1)},
    ),
    "large weights": (
        "unusual-scale",
        {"whole_scales": {"a": (0.1, 0.1), "b": (0.32, 0.1)}},
        {"whole_scales": {"a": (0.1, 0.1), "b": (0.31, 0.1)}},
    ),
    "large survivors of a mask": (
        "unusual-scale",
        {"whole_scales": {"b": (0.9, 0.1)}},
        {"scales": {"b": (0.9, 0.1)}, "whole_scales": {"b": (0.09, 0.1)}},
    ),
    "small weights": (
        "unusual-scale",
        {"scales": {"b": (0.031, 0.1)}},
        {"scales": {"b": (0.032, 0.1)}},
    ),
    "few survivors of a mask": (
        "unusual-scale",
        {"scales": {"b": (0.01, 0.1)}},
        {"scales": {"b": (0.1, 0.1)}, "whole_scales": {"b": (0.01, 0.1)}},
    ),
    "a large head": (
        "unusual-scale",
        {"whole_scales": {"h": (1.01, 0.1)}, "head_directions": {"h": (BARE, BARE)}},
        {"whole_scales": {"h": (0.99, 0.1)}, "head_directions": {"h": (BARE, BARE)}},
    ),
    "weights that are no numbers": ("unusual-scale", {"scales": {"b": (0.0, 0.1)}}, {}),
    "stray statistics": (
        "unusual-scale",
        {"strays": {"a": 0.0, "b": 0.3}},
        {"strays": {"a": 0.25, "b": 0.0}},
    ),
    "directions": (
        "same-encoder",
        {"directions": {"a": (turned(10), BARE)}},
        {"directions": {"a": (turned(11), BARE)}},
    ),
    "directions over all weights": (
        "same-encoder",
        {"directions": {"a": (turned(15), BARE), "b": (BARE, BARE)}},
        {"directions": {"a": (turned(25), BARE), "b": (BARE, BARE)}},
    ),
    "a turned head": (
        "head-only",
        {"directions": {"a": (BARE, BARE)}, "head_directions": {"h": (turned(11), BARE)}},
        {"directions": {"a": (BARE, BARE)}, "head_directions": {"h": (turned(10), BARE)}},
    ),
    "a turned head on a turned encoder": (
        "head-only",
        {"directions": {"a": (BARE, BARE)}, "head_directions": {"h": (turned(90), BARE)}},
        {"directions": {"a": (turned(90), BARE)}, "head_directions": {"h": (turned(90), BARE)}},
    ),
    "a new head beside a repaired one": (
        "head-only",
        gaps(finetune=-0.2, finetune_new_head=0.15, rescale=0.09),
        gaps(finetune=-0.2, finetune_new_head=0.15, rescale=0.11),
    ),
    "a plain mask": (
        "plain-mask",
        {"controls": unprotected(0.1, 0.3) | magnitude(-0.0895)},
        {"controls": unprotected(0.1, 0.3) | magnitude(-0.05)},
    ),
    "a plain mask whose thieves chose badly": (
        "plain-mask",
        gaps(finetune=-0.05)
        | {"controls": unprotected(0.1, 0.3) | magnitude(-0.05, finetune=-0.05)},
        # What the control was not attacked by says nothing of the difference.
        gaps(finetune=-0.1, rescale=-0.05)
        | {"controls": unprotected(0.1, 0.3) | magnitude(-0.05, finetune=-0.05)},
    ),
    "a mask of nothing": (
        "plain-mask",
        {"controls": unprotected(0.1, 0.3) | magnitude(-0.2, sparsity=0.001)},
        {"controls": unprotected(0.1, 0.3) | magnitude(-0.2, sparsity=0.0)},
    ),
    "rising": (
        "still-rising",
        {"points": RISING},
        {"points": RISING[:1] + points(3e-3, falling=0.1, last_loss=0.5)},
    ),
    "rising to nothing": (
        "still-rising",
        {"points": RISING},
        {"points": points(1e-3, 3e-3, falling=0.9, last_loss=0.1)},
    ),
    "rising on few samples": (
        "still-rising",
        {"points": RISING},
        {"points": points(1e-3, 3e-3, n=8, falling=0.5)},
    ),
    "rising above the unprotected": (
        "still-rising",
        {"points": RISING},
        {"points": RISING, "attacks": {"finetune": curve(0.5, 0.6, 0.7)}},
    ),
    "rising attacks that are not the best": (
        "still-rising",
        {"points": RISING},
        {"points": RISING} | gaps(finetune=-0.1, finetune_new_head=-0.05),
    ),
    "nobody ignores the mask": (
        "polite-protocol",
        gaps(masked=-0.1, masked_new_head=-0.1),
        gaps(masked=-0.1, finetune_new_head=-0.1),
    ),
    "who ignores the mask was asked for and could not be made": (
        "polite-protocol",
        {"protocol": WIDE.model_copy(update={"attacks": ("finetune", "masked-new-head")})}
        | gaps(masked_new_head=-0.1),
        {"protocol": WIDE.model_copy(update={"attacks": ("masked-new-head", "distill")})}
        | gaps(masked_new_head=-0.1, distill=-0.1),
    ),
    "one rate": (
        "polite-protocol",
        {"protocol": WIDE.model_copy(update={"recipe": Recipe(lrs=(1e-4,))})},
        {"protocol": WIDE.model_copy(update={"recipe": Recipe(lrs=(1e-4, 1e-3))})},
    ),
    "two thieves": (
        "polite-protocol",
        {"protocol": WIDE.model_copy(update={"seeds": 2})},
        {"protocol": WIDE},
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
    "chance of uneven classes": (
        "chance-level",
        {"guess": 0.4, "attacks": {"finetune": curve(0.4, 0.41, 0.3)}},
        {"guess": 0.4, "attacks": {"finetune": curve(0.4, 0.43, 0.3)}},
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
    narrow = WIDE.model_copy(update={"recipe": PROTOCOL.recipe})
    assert raised(protocol=narrow, points=points(1e-2, 1e-2)) == []


def test_messages_say_where() -> None:
    (void,) = raise_flags(replace(CALM, controls=unprotected(-0.05, 0.3)))
    assert "mean gap +0.125, interval from -0.050" in void.message
    (falls,) = raise_flags(
        replace(CALM, scratch=ScratchCurve(curve=[0.6, 0.4, 0.3], spread=[0.0] * 3))
    )
    assert "8 to 64, 64 to 512" in falls.message


def test_what_favours_the_defender_is_listed() -> None:
    rules = WIDE.model_copy(update={"recipe": Recipe(lrs=(1e-4,)), "seeds": 2})
    (polite,) = raise_flags(replace(CALM, protocol=rules, points=[], **gaps(masked=-0.1)))
    assert polite.message.startswith("tiny/1 favours the defender: every attack keeps")
    assert polite.message.count(";") == 2


def test_all_that_is_unfair_about_the_paper_s_protocol_is_said() -> None:
    polite = replace(CALM, protocol=PAPER, **gaps(masked=-0.1, masked_new_head=-0.1))
    flags = {flag.name: flag for flag in raise_flags(polite)}
    message = flags["polite-protocol"].message
    for words in (
        "every attack keeps the defender's mask",
        "no learning rate is searched",
        "0.0001 for 30 epochs can leave thief and scratch alike undertrained with few samples",
    ):
        assert words in message


def test_the_layers_of_an_unusual_file_are_named() -> None:
    odd = {"whole_scales": {"a": (9.0, 0.1), "b": (0.1, 0.1)}, "strays": {"c": 1.0, "d": 0.1}}
    (flag,) = raise_flags(replace(CALM, **odd))
    assert "(a) and BatchNorm" in flag.message
    assert "(c)" in flag.message


def test_points_without_training_do_not_rise() -> None:
    assert raised(points=points(3e-3, first_loss=None, last_loss=None)) == []
