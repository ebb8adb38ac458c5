"""`ntprune attack` and what `ntprune attacks` says of each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tests.cli.conftest import Typed

from ntprune.attacks import attack_class, attack_names
from ntprune.audit import PROTOCOLS
from ntprune.audit.protocol import procedure
from ntprune.domains import domain
from ntprune.engine import Resident, accuracy
from ntprune.models import Model, ModelSpec


@pytest.mark.parametrize("name", ["finetune", "mix"])
def test_the_stolen_model_is_saved_as_plain_weights(
    name: str, place: Path, tmp_path: Path, typed: Typed
) -> None:
    target = f"npz:{place}/target.npz"
    command = f"attack {place}/release --target {target} --attack {name} --budget 8 --device cpu"
    ended = typed(*command.split(), "--json", "--out", str(tmp_path / "out"))
    assert ended.code == 0, ended.said
    found = json.loads(ended.out)
    spec = ModelSpec.model_validate_json((tmp_path / "out" / "model.json").read_bytes())
    model = Model.fresh(spec, seed=0)
    model.module.load_state_dict(load_file(tmp_path / "out" / "model.safetensors"))
    test = Resident.of(domain(target).test, spec.preprocessing, torch.device("cpu"))
    assert accuracy(model, test) == found["accuracy"]
    assert sorted(p.name for p in tmp_path.glob("out/*")) == ["model.json", "model.safetensors"]


def test_scratch_is_the_same_beside_every_attack(place: Path, typed: Typed) -> None:
    shared = (
        f"attack {place}/release --target npz:{place}/target.npz --budget 8 --device cpu --json"
    )
    found = [
        json.loads(typed(*shared.split(), "--attack", name).out)
        for name in ("scratch", "linear-probe")
    ]
    assert found[0]["accuracy"] == found[0]["scratch"] == found[1]["scratch"]
    assert found[0]["steps"] == found[1]["steps"] == 100
    assert found[0]["out"] is None


def test_the_recipe_can_be_another(place: Path, typed: Typed) -> None:
    """That of the attack and that of scratch, so that the two still compare."""
    shared = f"attack {place}/release --target npz:{place}/target.npz --budget 8 --device cpu"
    plain, other = (
        json.loads(typed(*f"{shared} --attack scratch --json {more}".split()).out)
        for more in ("", "--optimiser sgd --lr 0.03 --steps 7")
    )
    assert (plain["optimiser"], plain["steps"]) == ("adamw", 100)
    assert (other["optimiser"], other["steps"]) == ("sgd", 7)
    assert other["accuracy"] == other["scratch"] != plain["scratch"]


def test_attacks_are_listed_with_what_they_need(typed: Typed) -> None:
    document = json.loads(typed("attacks", "--json").out)
    assert set(document) == set(attack_names())
    assert document["shot"]["labels"] is False
    assert document["transntl"]["source"] is True
    assert document["masked"] | {"summary": ""} == {
        "summary": "",
        "weights": True,
        "labels": True,
        "source": False,
        "mask": "kept",
        "head": "kept",
        "knowledge": "the architecture and which weights are pruned",
    }
    head, *lines = typed("attacks").out.splitlines()
    assert head.split()[:5] == ["attack", "labels", "source", "mask", "head"]
    assert [line.split()[0] for line in lines] == attack_names()


DOCS = Path(__file__).parents[2] / "docs"


def rows(page: str) -> dict[str, list[str]]:
    """Cells beside the first by the name in the first, in the order of the page."""
    lines = [line for line in (DOCS / page).read_text().splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {first.strip("`"): rest for first, *rest in cells}


def words(*answers: bool) -> list[str]:
    return ["yes" if answer else "no" for answer in answers]


def test_the_page_on_attacks_says_what_each_needs() -> None:
    found = rows("attacks.md")
    assert set(found) == set(attack_names())
    for name, (_, labels, source, mask, head, *_) in found.items():
        threat = attack_class(name).threat
        assert [labels, source] == words(threat.labels, threat.source), name
        assert [mask, head] == [threat.mask, threat.head], name


def test_the_threat_model_has_every_attack_of_the_protocols_and_what_it_needs() -> None:
    found = rows("threat-model.md")
    protocols = [PROTOCOLS[name] for name in ("quick/1", "standard/1", "plus/1")]
    first = {"scratch": "all", "null": "all"}
    for rules in protocols:
        for attack in rules.attacks:
            first.setdefault(procedure(attack), f"`{rules.name}`")
    assert list(found) == list(first)
    for name, cells in found.items():
        threat = attack_class(name).threat
        wanted = words(threat.weights, threat.labels, threat.source)
        assert cells == [first[name], *wanted, threat.mask, threat.head, threat.knowledge], name
