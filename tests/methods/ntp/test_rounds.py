"""What the rounds judge the source by."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tests.release.toys import TINY

from ntprune.domains import Domain
from ntprune.engine import Resident
from ntprune.methods import protect
from ntprune.methods.ntp.rounds import Rounds
from ntprune.methods.ntp.run import Run
from ntprune.release import Release


@pytest.mark.parametrize("by_class", [False, True], ids=["in random order", "sorted by class"])
def test_a_few_images_stand_for_all_unless_a_class_is_missing(
    by_class: bool,
    tiny_base: Release,
    tiny_source: Domain,
    tiny_target: Domain,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measured: list[int] = []
    accuracy = Run.accuracy

    def watched(run: Run, data: Resident) -> float:
        measured.append(len(data))
        return accuracy(run, data)

    split = tiny_source.owner_validation
    if by_class:
        split = split.take(torch.argsort(split.labels, stable=True))
    few = len(split) // 2
    assert (len(split.labels[:few].unique()) == len(tiny_source.classes)) is not by_class
    monkeypatch.setattr(Rounds, "GLANCE", few)
    monkeypatch.setattr(Run, "accuracy", watched)
    monkeypatch.setattr(Domain, "owner_validation", property(lambda _: split))
    protect(tiny_base, tiny_source, tiny_target, **TINY, device="cpu")
    rounds = measured[: 1 + TINY["rounds"]]
    assert set(rounds) == {len(split) if by_class else few}


def test_a_model_with_zeros_of_its_own_is_pruned_no_further(
    tiny_base: Release, tiny_source: Domain, tiny_target: Domain
) -> None:
    """Its zeros may be trained again."""
    base = replace(tiny_base, model=tiny_base.model.copy())
    with torch.no_grad():
        for weight in base.model.prunable().values():
            weight[weight.abs() < weight.abs().median()] = 0
    settings = TINY | {"support": "magnitude", "sparsity": 0.3, "device": "cpu"}
    made = protect(base, tiny_source, tiny_target, **settings)
    assert made.masks.sparsity == pytest.approx(0.3, abs=0.01)
