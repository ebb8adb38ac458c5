"""A release is as long as the model that was given, and computes what it computed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch
from tests.release.toys import TINY
from torch import Tensor, nn

from ntprune.domains import Domain
from ntprune.engine import Resident, generator, kept_statistics, reestimate_batchnorm
from ntprune.methods import protect
from ntprune.methods.defence import Defence
from ntprune.methods.ntp.levels import Grown, Levels
from ntprune.methods.ntp.thieves import Thief, Thieves
from ntprune.models import Model, wrap
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


def weight(model: Model, name: str) -> Tensor:
    return model.module.get_parameter(name).detach()


def length(model: Model, name: str) -> float:
    return float(weight(model, name).norm())


@torch.no_grad()
def outputs(model: Model, data: Resident) -> tuple[Tensor, Tensor]:
    """In eval and in train mode."""
    images = data.images[:64]
    model.module.eval()
    still = model(images)
    model.module.train()
    with kept_statistics(model.module):
        moving = model(images)
    model.module.eval()
    return still, moving


def test_what_grew_is_as_long_as_it_was_and_computes_the_same(work: Defence) -> None:
    model = work.model
    levels = Levels(work)
    given = length(model, FIRST)
    with torch.no_grad():
        first = model.module.get_parameter(FIRST)
        # Training turns filters as well as lengthening them.
        first.mul_(8).add_(0.1 * torch.randn(first.shape, generator=generator(0, "test")))
        model.module.get_parameter(SECOND).mul_(0.25)
    reestimate_batchnorm(model, work.train)
    before, longer, shorter = (
        outputs(model, work.train),
        length(model, FIRST),
        weight(model, SECOND),
    )
    made = levels.levelled(model)
    assert length(made, FIRST) == pytest.approx(given, rel=1e-5)
    assert torch.equal(weight(made, SECOND), shorter)
    for ours, theirs in zip(outputs(made, work.train), before, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)
    assert length(model, FIRST) == longer, "the model on its way is left alone"


def test_a_model_that_has_not_grown_is_left_as_it_is(work: Defence) -> None:
    made = Levels(work).levelled(work.model)
    for ours, theirs in zip(
        made.module.state_dict().values(), work.model.module.state_dict().values(), strict=True
    ):
        assert torch.equal(ours, theirs)


def test_what_no_normalisation_follows_is_left(work: Defence) -> None:
    levels = Levels(work)
    with torch.no_grad():
        for parameter in work.model.head.parameters():
            parameter.mul_(9)
    made = levels.levelled(work.model)
    heads = zip(made.head.parameters(), work.model.head.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in heads)


def test_a_release_is_level(
    tiny_base: Release, tiny_source: Domain, tiny_target: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a learning rate that lengthens everything."""
    hard = TINY | {"finish": 8, "checks": 2, "lr": 0.1, "push": 4.0, "device": "cpu"}
    norms = {
        f"{name}.weight": length(tiny_base.model, f"{name}.weight")
        for name, layer in tiny_base.model.module.named_modules()
        if isinstance(layer, nn.Conv2d)
    }

    def grown() -> list[str]:
        made = protect(tiny_base, tiny_source, tiny_target, **hard).model
        return [name for name, given in norms.items() if length(made, name) > 1.001 * given]

    assert grown() == []
    as_it_is: Callable[[Levels, Model], Model] = lambda _, model: model.copy()  # noqa: E731
    monkeypatch.setattr(Levels, "levelled", as_it_is)
    assert grown() != []


def test_simulated_thieves_start_from_what_will_be_released(
    tiny_base: Release, tiny_source: Domain, tiny_target: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    hard = TINY | {"finish": 40, "checks": 10, "lr": 0.1, "push": 4.0, "device": "cpu"}
    longest = []

    def spied(self: Thieves, grown: Sequence[Grown]) -> Thief:
        thief = drawn(self, grown)
        longest.append(length(thief.model, FIRST) / length(tiny_base.model, FIRST))
        grew.append(len(grown))
        return thief

    drawn, grew = Thieves.next, list[int]()
    monkeypatch.setattr(Thieves, "next", spied)
    protect(tiny_base, tiny_source, tiny_target, **hard)
    assert max(grew) > 0, "nothing grew: this test means nothing"
    # Lengths are measured at every check, and between two of them a layer goes on growing.
    assert sum(longest) / len(longest) < 1.3


class Skipping(nn.Module):
    """A convolution whose output is normalised, and passes the normalisation by as well."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return x + torch.relu(self.norm(x))


class Tied(nn.Module):
    """Two convolutions with one weight, each with a normalisation of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(1, 4, 3, bias=False), nn.Conv2d(1, 4, 3, bias=False)
        self.two.weight = self.one.weight
        self.norms = nn.ModuleList([nn.BatchNorm2d(4), nn.BatchNorm2d(4)])

    def forward(self, x: Tensor) -> Tensor:
        one, two = self.norms
        return torch.relu(one(self.one(x))) + torch.relu(two(self.two(x)))


@pytest.mark.parametrize("body", [Skipping, Tied])
def test_a_layer_whose_scale_matters_elsewhere_is_left(
    body: type[nn.Module], work: Defence
) -> None:
    tail = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 4))
    net = nn.Sequential(OrderedDict(body=body(), tail=tail))
    spec = work.model.spec
    parts = {"encoder": "body", "head": "tail", "classes": spec.classes}
    odd = replace(work, model=wrap(net, **parts, preprocessing=spec.preprocessing))
    levels = Levels(odd)
    with torch.no_grad():
        for parameter in odd.model.encoder.parameters():
            parameter.mul_(3)
    assert levels.grown(odd.model) == []
