"""Protocols are frozen: a number with a protocol's name means the same forever."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError
from tests.release.toys import PROTOCOL

from ntprune.attacks import attack_names
from ntprune.audit import PROTOCOLS, Protocol, Recipe, protocol
from ntprune.errors import SettingsError, UnknownNameError

FROZEN = {
    "quick/1": """
    {"name": "quick/1", "first": 8, "points": 5, "last": 8192, "first_seed": 0, "seeds": 3,
     "recipe": {"optimiser": "adamw", "lrs": [0.001, 0.003, 0.01], "weight_decay": 0.0005,
                "batch": 64, "epochs": 5.0, "min_steps": 100, "validation_share": 0.2,
                "search_share": 0.25},
     "attacks": ["finetune", "finetune-new-head", "masked", "masked-new-head"],
     "controls": {"unprotected": ["finetune", "finetune-new-head"],
                  "magnitude": ["finetune-new-head", "masked-new-head"],
                  "random": ["finetune-new-head"],
                  "null": ["null"]}}
    """
}


@pytest.mark.parametrize("name", sorted(FROZEN))
def test_golden(name: str) -> None:
    assert PROTOCOLS[name].model_dump(mode="json") == json.loads(FROZEN[name])


@pytest.mark.parametrize("name", sorted(PROTOCOLS))
def test_rules_that_every_protocol_keeps(name: str) -> None:
    rules = PROTOCOLS[name]
    assert rules.name == name
    assert rules.controls.keys() >= {"unprotected", "magnitude", "random", "null"}
    assert {"finetune", "finetune-new-head"} <= {*rules.attacks}, "mask-free attacks are primary"
    used = {*rules.attacks, *(a for attacks in rules.controls.values() for a in attacks)}
    assert used <= {*attack_names()}
    assert len(rules.recipe.lrs) >= 3
    assert rules.seeds >= 3


def test_frozen_in_memory_too() -> None:
    with pytest.raises(ValidationError):
        PROTOCOLS["quick/1"].seeds = 1  # type: ignore[misc]
    with pytest.raises(ValidationError, match="extra"):
        Protocol.model_validate(json.loads(FROZEN["quick/1"]) | {"attack": "finetune"})
    with pytest.raises(ValidationError):
        Recipe(lrs=())


@pytest.mark.parametrize(
    ("pool", "grid"),
    [
        (16, [8, 10, 11, 13, 16]),
        (100, [8, 15, 28, 53, 100]),
        (6291, [8, 42, 224, 1188, 6291]),
        (8192, [8, 45, 256, 1448, 8192]),
        (60_000, [8, 45, 256, 1448, 8192]),
    ],
)
def test_budgets_are_log_spaced_and_end_at_the_pool(pool: int, grid: list[int]) -> None:
    assert PROTOCOLS["quick/1"].budgets(pool) == grid


def test_a_pool_that_is_too_small() -> None:
    with pytest.raises(SettingsError, match=r"has 15 images, protocol quick/1 needs at least 16"):
        PROTOCOLS["quick/1"].budgets(15)


def test_thieves() -> None:
    assert list(PROTOCOL.thieves) == [0, 1]
    assert list(PROTOCOL.model_copy(update={"first_seed": 5}).thieves) == [5, 6]


@pytest.mark.parametrize(("samples", "steps"), [(8, 100), (1280, 100), (1281, 101), (8192, 640)])
def test_steps(samples: int, steps: int) -> None:
    assert PROTOCOLS["quick/1"].recipe.steps(samples) == steps


def test_names(monkeypatch: pytest.MonkeyPatch) -> None:
    assert protocol("quick/1") is PROTOCOLS["quick/1"]
    for number in (2, 10):
        newer = PROTOCOL.model_copy(update={"name": f"quick/{number}"})
        monkeypatch.setitem(PROTOCOLS, newer.name, newer)
    assert protocol("quick").name == "quick/10"
    for wrong in ("quikc", "quick/3", "", "1"):
        with pytest.raises(UnknownNameError, match=rf"unknown protocol '{wrong}'.*quick/1"):
            protocol(wrong)
    with pytest.raises(UnknownNameError, match="did you mean 'quick/1"):
        protocol("quikc/1")


@pytest.mark.parametrize("field", ["points", "seeds"])
def test_too_few_for_an_area_or_an_interval(field: str) -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 2"):
        Protocol.model_validate(json.loads(FROZEN["quick/1"]) | {field: 1})
