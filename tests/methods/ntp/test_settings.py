"""The settings that take a part of the method away."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ntprune.domains import Domain
from ntprune.engine import Resident, reestimate_batchnorm
from ntprune.methods import make_method
from ntprune.methods.ntp import rounds
from ntprune.methods.ntp.objective import Objective
from ntprune.methods.ntp.target_head import TargetHead
from ntprune.models import Model
from ntprune.objectives import clamped_cross_entropy
from ntprune.release import Release
from ntprune.sparsity import ADMM, GlobalMagnitude

SMALL = {"batch": 32, "max_source_drop": 100.0, "sparsity": 0.8, "rounds": 2, "inner": 3}


@pytest.mark.parametrize(("classes", "ceiling"), [(2, 3.0), (10, 3.0), (100, 6.0), (1000, 9.0)])
def test_the_ceiling_is_above_guessing(classes: int, ceiling: float) -> None:
    """Else a thief who guesses would be pushed no further."""
    settings: Any = make_method("ntp").settings
    assert settings.clamp_of(classes) == pytest.approx(ceiling)
    logits = torch.zeros(4, classes, requires_grad=True)
    labels = torch.tensor([0, 1, 0, 1])
    clamped_cross_entropy(logits, labels, settings.clamp_of(classes)).backward()
    assert logits.grad is not None
    assert logits.grad.abs().sum() > 0.9


@pytest.mark.parametrize(("statistics", "heads"), [("batch", 1), ("both", 2)])
@pytest.mark.parametrize(("refit", "steps"), [(4, [4, 4, 4, 4]), (0, [Objective.ONCE])])
def test_the_target_head_is_fitted_each_time_or_once(
    refit: int,
    steps: list[int],
    statistics: str,
    heads: int,
    tiny_base: Release,
    tiny_source: Domain,
    tiny_target: Domain,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []
    fit = TargetHead.refit

    def watch(self: TargetHead, model: Any, steps: int) -> float:
        asked.append(steps)
        return fit(self, model, steps)

    monkeypatch.setattr(TargetHead, "refit", watch)
    run = make_method("ntp", **SMALL, finish=2, refit=refit, statistics=statistics)
    run(tiny_base, tiny_source, [tiny_target])
    assert asked == [each for each in steps for _ in range(heads)]


def test_without_a_finish_the_sparse_side_of_admm_is_released(
    tiny_base: Release,
    tiny_source: Domain,
    tiny_target: Domain,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = []

    class Kept(ADMM):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            made.append(self)

    monkeypatch.setattr(rounds, "ADMM", Kept)
    release = make_method("ntp", **SMALL, finish=0)(tiny_base, tiny_source, [tiny_target])
    (admm,) = made
    released = release.model.prunable().values()
    assert all(torch.equal(p, z) for p, z in zip(released, admm.z, strict=True))
    assert [record["phase"] for record in release.history] == ["admm", "admm"]
    assert release.card.steps == SMALL["rounds"] * SMALL["inner"]


def test_the_support_of_the_model_as_given(
    tiny_base: Release, tiny_source: Domain, tiny_target: Domain
) -> None:
    prunable = tiny_base.model.prunable()
    largest = GlobalMagnitude().masks(list(prunable.values()), SMALL["sparsity"])
    wanted = dict(zip(prunable, largest, strict=True))
    for finish in (0, 2):
        run = make_method("ntp", **SMALL, finish=finish, support="magnitude")
        release = run(tiny_base, tiny_source, [tiny_target])
        assert all(torch.equal(release.masks[name], wanted[name]) for name in wanted)
        phases = {record["phase"] for record in release.history}
        assert phases == ({"finish"} if finish else set())
        kept = [
            torch.equal(release.model.prunable()[name][mask], prunable[name][mask])
            for name, mask in wanted.items()
        ]
        assert all(kept) == (finish == 0)


@pytest.mark.parametrize("support", ["admm", "magnitude"])
def test_without_a_finish_batchnorm_belongs_to_the_pruned_weights(
    support: str, tiny_base: Release, tiny_source: Domain, tiny_target: Domain
) -> None:
    run = make_method("ntp", **SMALL, finish=0, support=support)
    model = run(tiny_base, tiny_source, [tiny_target]).model
    twin = model.copy()
    data = Resident.of(tiny_source.owner_train, model.preprocessing, torch.device("cpu"))
    reestimate_batchnorm(twin, data)
    wanted = dict(twin.module.named_buffers())

    def close(found: Model) -> bool:
        pairs = ((value, wanted[name]) for name, value in found.module.named_buffers())
        return all(torch.allclose(a, b, rtol=0.05, atol=0.01) for a, b in pairs)

    assert close(model)
    assert not close(tiny_base.model)
