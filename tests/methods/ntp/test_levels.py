"""Weights before a BatchNorm keep their size, and the network what it computes."""

from __future__ import annotations

import pytest
import torch
from tests.release.toys import TINY
from torch import Tensor, nn

from ntprune.domains import Domain
from ntprune.engine import AveragedWeights, Resident, generator, reestimate_batchnorm
from ntprune.methods import protect
from ntprune.methods.base import Defence
from ntprune.methods.ntp.levels import Levels
from ntprune.models import Model
from ntprune.release import Release

FIRST, SECOND = "features.0.weight", "features.3.weight"


@pytest.fixture
def work(tiny_base: Release, tiny_source: Domain) -> Defence:
    model = tiny_base.model.copy()
    train, validation = (
        Resident.of(split, model.preprocessing, model.device)
        for split in (tiny_source.owner_train, tiny_source.owner_validation)
    )
    return Defence(model, train, validation, [], 0, False, 1.0, 0, lambda *_: None)


def length(model: Model, name: str) -> float:
    return float(model.module.get_parameter(name).detach().norm())


@torch.no_grad()
def logits(model: Model, data: Resident) -> Tensor:
    reestimate_batchnorm(model, data)
    model.module.eval()
    return model(data.images[:32])


def test_what_grew_is_as_long_as_it_was_and_computes_the_same(work: Defence) -> None:
    model = work.model
    levels = Levels(work)
    assert {f"{name}.weight" for name in levels.names} >= {FIRST, SECOND}
    given = length(model, FIRST), length(model, SECOND)
    average = AveragedWeights(model.module, 0.5)
    with torch.no_grad():
        model.module.get_parameter(FIRST).mul_(8)
        # An update would not be by a plain factor: filters turn as well.
        model.module.get_parameter(FIRST).add_(
            0.1 * torch.randn(model.module.get_parameter(FIRST).shape, generator=generator(0, "t"))
        )
        model.module.get_parameter(SECOND).mul_(0.25)
    average.update()
    before = logits(model, work.train)
    shorter = length(model, SECOND)
    levels.restore(average)
    after = logits(model, work.train)
    assert length(model, FIRST) == pytest.approx(given[0], rel=1e-5)
    assert length(model, SECOND) == pytest.approx(shorter)
    assert shorter < given[1]
    torch.testing.assert_close(after, before, rtol=1e-3, atol=1e-3)
    with average.in_place():
        assert length(model, FIRST) == pytest.approx(given[0], rel=1e-5)


def test_the_average_decides_and_the_live_weights_follow(work: Defence) -> None:
    levels = Levels(work)
    given = length(work.model, FIRST)
    average = AveragedWeights(work.model.module, 0.5)
    average.update()
    with torch.no_grad():
        work.model.module.get_parameter(FIRST).mul_(3)
    average.update()  # (1 + 3) / 2
    levels.restore(average)
    assert length(work.model, FIRST) == pytest.approx(1.5 * given, rel=1e-5)
    with average.in_place():
        assert length(work.model, FIRST) == pytest.approx(given, rel=1e-5)


def test_what_no_normalisation_follows_is_left(work: Defence) -> None:
    levels = Levels(work)
    average = AveragedWeights(work.model.module, 0.5)
    heads = [p for p in work.model.head.parameters() if p.dim() > 1]
    with torch.no_grad():
        for head in heads:
            head.mul_(9)
    average.update()
    before = [head.detach().clone() for head in heads]
    levels.restore(average)
    assert heads
    assert all(torch.equal(a, b) for a, b in zip(before, heads, strict=True))


def test_a_release_is_level(
    tiny_base: Release, tiny_source: Domain, tiny_target: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a learning rate that would lengthen everything."""
    hard = TINY | {"finish": 8, "lr": 0.1, "push": 4.0, "device": "cpu"}
    norms = {
        name: length(tiny_base.model, f"{name}.weight")
        for name, layer in tiny_base.model.module.named_modules()
        if isinstance(layer, nn.Conv2d)
    }

    def grown() -> list[str]:
        made = protect(tiny_base, tiny_source, tiny_target, **hard).model
        return [n for n, given in norms.items() if length(made, f"{n}.weight") > 1.001 * given]

    assert grown() == []
    monkeypatch.setattr(Levels, "restore", lambda *_: None)
    assert grown() != []
