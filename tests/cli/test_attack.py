"""`ntprune attack` and what `ntprune attacks` says of each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tests.cli.conftest import Typed

from ntprune.attacks import attack_names
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


def test_the_page_on_attacks_has_every_attack() -> None:
    page = (Path(__file__).parents[2] / "docs" / "attacks.md").read_text()
    rows = {line.split("`")[1] for line in page.splitlines() if line.startswith("| `")}
    assert rows == set(attack_names())
