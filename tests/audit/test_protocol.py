"""Protocols are frozen: a number with a protocol's name means the same forever."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from tests.release.toys import PROTOCOL

from ntprune.attacks import attack_class, attack_names
from ntprune.audit import PROTOCOLS, Protocol, Recipe, protocol, subsets
from ntprune.errors import SettingsError, UnknownNameError
from ntprune.jobs.job import REVISION

# One file a protocol; see the first test.
FROZEN = {
    file.stem.replace("-", "/"): json.loads(file.read_text())
    for file in (Path(__file__).parent / "frozen").glob("*.json")
}


@pytest.mark.parametrize("name", sorted(PROTOCOLS))
def test_golden(name: str) -> None:
    """A protocol that is to change in any field gets a new version and a new file instead."""
    assert PROTOCOLS[name].model_dump(mode="json") == FROZEN[name]


def test_what_a_protocols_name_also_stands_for() -> None:
    """A change of one of these changes what a job of the same spec returns, and so does every
    change of an attack or of the search: raise `REVISION`, and take new versions of protocols."""
    attacks = ("bn-finetune", "lora", "probe-finetune", "shot", "shrink-perturb", "transntl")
    found = {
        name: {key: value for key, value in vars(attack_class(name)).items() if key.isupper()}
        for name in attacks
    }
    assert found == {
        "bn-finetune": {"CLIP": 1.0},
        "lora": {"RANK": 4},
        "probe-finetune": {"SHARE": 0.25},
        "shot": {"PSEUDO": 0.3, "ROUNDS": 5},
        "shrink-perturb": {"FRESH": 0.5},
        "transntl": {
            "SHARE": 0.5, "CONSISTENCY": 0.1, "NOISE": 0.2, "SHIFT_RATE": 0.01, "RHO": 0.5,
        },
    }  # fmt: skip
    assert subsets.SOURCE_IMAGES == 1000
    assert REVISION == 10


def test_no_frozen_protocol_is_gone() -> None:
    assert FROZEN.keys() == PROTOCOLS.keys()


@pytest.mark.parametrize("name", sorted(PROTOCOLS))
def test_rules_that_every_protocol_keeps(name: str) -> None:
    rules = PROTOCOLS[name]
    assert rules.name == name
    assert rules.controls.keys() >= {"unprotected", "magnitude", "random", "null"}
    used = {*rules.attacks, *(a for attacks in rules.controls.values() for a in attacks)}
    assert {a.partition("@")[0] for a in used} <= {*attack_names()}
    assert all(rules.recipe_of(attack).steps(8) >= 1 for attack in used)
    assert rules.seeds >= 3


@pytest.mark.parametrize("name", sorted({*PROTOCOLS} - {"paper/1"}))
def test_rules_that_only_the_authors_recipe_breaks(name: str) -> None:
    rules = PROTOCOLS[name]
    assert {"finetune", "finetune-new-head"} <= {*rules.attacks}, "mask-free attacks are primary"
    assert all(len(recipe.lrs) >= 3 for recipe in (rules.recipe, *rules.variants.values()))


def test_every_protocol_includes_the_smaller_one() -> None:
    quick, standard, plus = ({*PROTOCOLS[f"{n}/1"].attacks} for n in ("quick", "standard", "plus"))
    assert quick < standard < plus
    assert {f"{a}@{v}" for a in standard for v in ("sgd", "long")} < plus


def test_an_unknown_recipe_is_named() -> None:
    assert PROTOCOLS["plus/1"].recipe_of("finetune@sgd").optimiser == "sgd"
    with pytest.raises(SettingsError, match=r"plus/1 has no recipe 'sdg' .* it has sgd, long"):
        PROTOCOLS["plus/1"].recipe_of("finetune@sdg")
    with pytest.raises(SettingsError, match="only its main one"):
        PROTOCOLS["quick/1"].recipe_of("finetune@long")


def test_shares_of_the_pool_become_counts() -> None:
    assert PROTOCOLS["paper/1"].budgets(6293) == [
        6, 13, 31, 50, 63, 315, 629, 1259, 3146, 6293,
    ]  # fmt: skip
    assert PROTOCOLS["paper/1"].budgets(100) == [3, 5, 10, 20, 50, 100]
    with pytest.raises(SettingsError, match=r"has 2 images, too few for the shares of .*paper/1"):
        PROTOCOLS["paper/1"].budgets(2)


def test_frozen_in_memory_too() -> None:
    with pytest.raises(ValidationError):
        PROTOCOLS["quick/1"].seeds = 1  # type: ignore[misc]
    with pytest.raises(ValidationError, match="extra"):
        Protocol.model_validate(FROZEN["quick/1"] | {"attack": "finetune"})
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


@pytest.mark.parametrize(("samples", "steps"), [(8, 100), (1280, 100), (1281, 105), (8192, 640)])
def test_steps(samples: int, steps: int) -> None:
    assert PROTOCOLS["quick/1"].recipe.steps(samples) == steps


def test_the_authors_passes() -> None:
    """Thirty passes over 315 images in batches of 128, the last of 59, are ninety steps."""
    assert PROTOCOLS["paper/1"].recipe.steps(315) == 90
    assert PROTOCOLS["paper/1"].recipe.steps(6) == 30


def test_steps_of_a_point() -> None:
    assert PROTOCOLS["quick/1"].recipe.total_steps(8) == 100 + 4 * 12
    tuned = Recipe(lrs=(1.0,) * 5, min_steps=80, search_share=0.125)
    assert tuned.trial_steps(8) == 10
    assert tuned.total_steps(8) == 80 + 5 * 10
    assert tuned.model_copy(update={"confirm": True}).total_steps(8) == 3 * 80 + 5 * 10


def test_the_usual_rate() -> None:
    assert Recipe(lrs=(1e-3, 1e-2, 1e-1)).usual == pytest.approx(1e-2)
    assert Recipe(lrs=(1e-3, 1e-2, 1e-1), prior=3e-3).usual == 3e-3
    for rules in PROTOCOLS.values():
        for recipe in (rules.recipe, *rules.variants.values()):
            if recipe.prior is not None:
                assert recipe.prior in recipe.lrs[1:-1], "an edge is no middle"


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
        Protocol.model_validate(FROZEN["quick/1"] | {field: 1})


@pytest.mark.parametrize(
    "wrong",
    [
        {"lrs": (0.0,)},
        {"lrs": (1e-3, -1.0)},
        {"batch": 0},
        {"min_steps": 0},
        {"epochs": -1},
        {"validation_share": 1.0},
        {"search_share": 0.0},
    ],
)
def test_a_recipe_that_no_thief_could_follow_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Recipe(**({"lrs": (1e-3,)} | wrong))


def test_a_protocol_that_starts_below_three_images_is_refused() -> None:
    with pytest.raises(ValidationError):
        Protocol(name="own/1", first=2, recipe=Recipe(lrs=(1e-3,)), attacks=(), controls={})
