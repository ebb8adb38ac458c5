"""The large-scale benchmark, on a smaller network and smaller images."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import imagenet_scale
from ntprune.domains.check import check_domain


def test_a_made_up_domain_is_a_domain() -> None:
    found = check_domain(imagenet_scale.made_up("source", 5, 8, 32, seed=0))
    assert [len(found.train), len(found.validation), len(found.pool), len(found.test)] == [
        *(10, 5, 20, 10)
    ]
    assert (found.channels, found.size, len(found.classes)) == (3, 32, 5)
    other = imagenet_scale.made_up("source", 5, 8, 32, seed=1)
    assert found.content_hash != other.content_hash


@pytest.mark.slow
def test_everything_runs_and_is_recorded(tmp_path: Path) -> None:
    out = tmp_path / "large.json"
    imagenet_scale.main(
        [
            *("--model", "resnet18", "--size", "64", "--classes", "3", "--target-classes", "5"),
            *("--each", "4", "--batch", "4", "--steps", "1", "--out", str(out)),
        ]
    )
    document = json.loads(out.read_text())
    phases = [record["phase"] for record in document["phases"]]
    assert phases[:7] == ["source", "target", "pretrain", "protect", "save", "load", "check"]
    attacks = {name for name in phases if name.startswith("attack")}
    assert {"attack rescale", "attack mix", "attack linear-probe"} <= attacks
    assert "attack finetune" not in attacks, "the classes are others"
    memory = [record["peak_memory_so_far_mb"] for record in document["phases"]]
    assert memory == sorted(memory)
    assert document["sparsity"] == pytest.approx(0.9, abs=1e-3)
    assert document["images"]["target"]["classes"] == 5
