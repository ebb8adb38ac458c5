"""A reduced protocol does less, and its name says what."""

from __future__ import annotations

import numpy as np
import pytest
from tests.release.toys import PROTOCOL, toy

from ntprune.audit import PROTOCOLS, Protocol
from ntprune.audit.reduce import Reduction
from ntprune.errors import SettingsError

STANDARD = PROTOCOLS["standard/1"]
PLUS = PROTOCOLS["plus/1"]
FREE = ("finetune", "finetune-new-head")


def reduced(rules: Protocol, **what: object) -> Protocol:
    return Reduction(**what).of(rules, toy(1))[0]  # type: ignore[arg-type]


def test_nothing_reduced_is_the_protocol_itself() -> None:
    rules, grid = Reduction().of(PROTOCOL, toy(1))
    assert rules is PROTOCOL
    assert grid == PROTOCOL.budgets(len(toy(1).pool))


def test_every_reduction_is_named_in_the_protocols_order() -> None:
    rules = reduced(
        STANDARD,
        budgets=[16, 8],
        attacks=FREE[::-1],
        controls=["null", "unprotected", "null"],
        first_seed=3,
    )
    assert rules.name == (
        "standard/1 with budgets 8,16, attacks finetune,finetune-new-head, "
        "controls unprotected,null, seeds from 3"
    )
    assert list(rules.thieves) == [3, 4, 5, 6, 7]


def test_controls_are_attacked_like_the_release() -> None:
    rules = reduced(STANDARD, attacks=FREE)
    assert rules.attacks == FREE
    assert rules.controls == {
        "unprotected": FREE,
        "magnitude": FREE,
        "random": FREE[1:],
        "null": ("null",),
    }


def test_a_control_with_none_of_them_keeps_its_own() -> None:
    assert reduced(STANDARD, attacks=["masked"]).controls == STANDARD.controls | {
        "magnitude": ("masked",)
    }


def test_the_recipe_stays() -> None:
    rules = reduced(STANDARD, attacks=FREE, controls=["unprotected"], budgets=[8, 16])
    assert (rules.recipe, rules.seeds) == (STANDARD.recipe, STANDARD.seeds)


def test_scratch_has_the_recipes_that_are_left() -> None:
    """More for the yardstick than for any attack would favour the defender."""
    assert PLUS.variants.keys() == {"sgd", "long"}
    assert reduced(PLUS, attacks=FREE).variants == {}
    assert reduced(PLUS, attacks=["finetune", "finetune@long"]).variants.keys() == {"long"}


def test_budgets_may_come_from_numpy() -> None:
    _, grid = Reduction(budgets=np.array([64, 8])).of(STANDARD, toy(1))  # type: ignore[arg-type]
    assert grid == [8, 64]
    assert all(type(count) is int for count in grid)


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ({"attacks": ["lora"]}, "standard/1 has no attack 'lora': choose from finetune, "),
        ({"attacks": [""]}, "has no attack ''"),
        ({"controls": ["unprotected", "ntp"]}, "standard/1 has no control 'ntp': choose from unp"),
        ({"controls": ["null"]}, "controls must name 'unprotected'"),
        ({"budgets": [8]}, "at least two different counts"),
        ({"budgets": [8.5, 64]}, "found .8.5, 64., expected whole numbers"),
    ],
)
def test_what_cannot_be_is_refused(what: dict[str, object], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        reduced(STANDARD, **what)
