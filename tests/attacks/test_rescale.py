"""Seeing through defences that hide scales, shifts and statistics."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, cast

import pytest
import torch
from tests.attacks.thefts import base, pruned, resident, state, steal, tampered, toy
from torch import Tensor, nn
from torch.nn import functional as F

from ntprune.attacks.rescale import level_filters, put_right
from ntprune.engine import evaluate, rebase_statistics
from ntprune.engine.layers import free_scales, normalised
from ntprune.models import Model, ModelSpec, wrap

Change = Callable[[Model], None]


def _norms(model: Model) -> list[tuple[Any, Any]]:
    layers = list(model.module.modules())
    found = [layer for layer in layers if isinstance(layer, nn.Conv2d)]
    return list(
        zip(found, [layer for layer in layers if isinstance(layer, nn.BatchNorm2d)], strict=True)
    )


def _filters(low: float, high: float) -> Change:
    """Filters of any norm; BatchNorm's statistics follow, so the source notices nothing."""

    def change(model: Model) -> None:
        draw = torch.Generator().manual_seed(0)
        for conv, norm in _norms(model):
            factor = low * (high / low) ** torch.rand(len(conv.weight), generator=draw)
            conv.weight.mul_(factor.view(-1, 1, 1, 1))
            norm.running_mean.mul_(factor)
            norm.running_var.mul_(factor**2)

    return change


def _scrambled(model: Model) -> None:
    draw = torch.Generator().manual_seed(0)
    for _, norm in _norms(model):
        norm.running_mean.normal_(0, 10, generator=draw)
        norm.running_var.uniform_(1e-4, 100, generator=draw)


def _dying(model: Model) -> None:
    for _, norm in _norms(model):
        norm.bias.sub_(30)


def _faint(model: Model) -> None:
    for _, norm in _norms(model):
        norm.weight.mul_(1e-4)


def _logits(factor: float) -> Change:
    def change(model: Model) -> None:
        for parameter in model.head.parameters():
            parameter.mul_(factor)

    return change


DEFENCES: dict[str, Change] = {
    "heavy filters": _filters(1e3, 1e3),
    "uneven filters": _filters(1, 1e4),
    "scrambled statistics": _scrambled,
    "dying ReLUs": _dying,
    "faint channels": _faint,
    "loud logits": _logits(1e4),
    "quiet logits": _logits(1e-4),
}


@pytest.mark.parametrize("defence", DEFENCES)
def test_what_only_blocks_training_is_undone(defence: str) -> None:
    release = tampered(DEFENCES[defence])
    test = resident(1, 80, "test")
    settings = {"steps": 60, "lr": 1e-2}
    found, _ = evaluate(steal("rescale", release, resident(1, 24), **settings).model, test)
    plain, _ = evaluate(steal("finetune", base(toy(0)), resident(1, 24), **settings).model, test)
    assert found > plain - 0.1
    if defence in ("dying ReLUs", "faint channels"):
        blocked, _ = evaluate(steal("finetune", release, resident(1, 24), **settings).model, test)
        assert blocked < 0.5, "plain fine-tuning gets nowhere"


@pytest.mark.parametrize("low", [1e-2, 1, 1e3])
def test_levelled_filters_compute_what_they_did(low: float) -> None:
    original = base(toy(0)).model
    model = tampered(_filters(low, 10 * low)).model
    images = resident(1, 60).images
    fresh = Model.fresh(model.spec, seed=7)
    before = model(images)
    level_filters(normalised(model, images[:2]), model, fresh)
    after = model(images)
    torch.testing.assert_close(after, before, atol=1e-3, rtol=1e-3)
    if low >= 1:
        # Small filters drown in the constant that BatchNorm adds to variances.
        torch.testing.assert_close(after, original(images), atol=5e-3, rtol=1e-2)
    for (conv, _), (usual, _) in zip(_norms(model), _norms(fresh), strict=True):
        norms, wanted = (layer.weight.flatten(1).norm(dim=1) for layer in (conv, usual))
        torch.testing.assert_close(norms, wanted.square().mean().sqrt().expand_as(norms))


def test_rebased_statistics_compute_what_they_did() -> None:
    """On the thief's images in eval mode, and from now on in train mode as well."""
    model = tampered(_scrambled).model
    images = resident(1, 60).images
    before = model(images)
    rebase_statistics(model, images)
    torch.testing.assert_close(model(images), before, atol=2e-3, rtol=1e-3)
    model.module.train()
    torch.testing.assert_close(model(images), before, atol=2e-3, rtol=1e-3)


def test_pruned_filters_stay_and_nothing_becomes_infinite() -> None:
    model = pruned().model.copy()
    with torch.no_grad():
        model.module.get_parameter("features.3.weight")[1] = 0
    images = resident(1, 60).images
    hidden = normalised(model, images[:2])
    level_filters(hidden, model, Model.fresh(model.spec, seed=7))
    put_right(model, images, {giver for giver, _ in hidden})
    assert all(value.isfinite().all() for value in state(model).values())
    assert (model.module.get_parameter("features.3.weight")[1] == 0).all()


def test_a_healthy_network_is_left_as_it_is() -> None:
    model = base(toy(0)).model.copy()
    before = state(model)
    images = resident(1, 60).images
    put_right(model, images, {conv for conv, _ in _norms(model)})
    after = state(model)
    changed = sum(
        int((before[name] != after[name]).sum()) for name, _ in model.module.named_parameters()
    )
    total = sum(parameter.numel() for parameter in model.module.parameters())
    assert changed < 0.05 * total


class Bare:
    """A model without any BatchNorm: two biased convolutions and a head."""

    def __init__(self) -> None:
        self.module = nn.Sequential(
            nn.Conv2d(1, 8, 3),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(8 * 12 * 12, 4),
        )

    def __call__(self, images: Tensor) -> Tensor:
        logits: Tensor = self.module(images)
        return logits


def test_every_relu_comes_alive_on_about_half_of_its_inputs() -> None:
    torch.manual_seed(0)
    model: Any = Bare()
    images = torch.randn(40, 1, 16, 16)
    with torch.no_grad():
        model.module[0].bias.sub_(1e3)
        model.module[2].weight.mul_(1e3)
        model.module[2].bias.sub_(1e6)
        model.module[5].weight.mul_(1e-6)
    assert (model.module[:4](images) == 0).all()
    put_right(model, images, set())
    for depth in (1, 3):
        alive = (model.module[: depth + 1](images) > 0).float().mean((0, 2, 3))
        assert ((alive > 0.25) & (alive < 0.75)).all(), alive
    spread = model(images).std(0)
    assert ((spread > 0.1) & (spread < 10)).all()


def test_neighbours_are_found_in_a_resnet() -> None:
    spec = base(toy(0)).model.spec.model_dump() | {"architecture": "resnet18"}
    model = Model.fresh(ModelSpec.model_validate(spec | {"width": None}), seed=0)
    names = {layer: name for name, layer in model.module.named_modules()}
    found = {
        names[giver]: names[taker] for giver, taker in normalised(model, resident(1, 2).images)
    }
    assert len(found) == len(free_scales(model, resident(1, 2).images)) == 20
    assert found["conv1"] == "bn1"
    assert found["layer2.0.downsample.0"] == "layer2.0.downsample.1"
    assert found["layer4.1.conv2"] == "layer4.1.bn2"


class Skipping(nn.Module):
    """Blocks in the order of pre-activation: what the second norm reads, a skip reads as well."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.inner, self.last = (nn.Conv2d(i, 4, 3, padding=1) for i in (1, 4, 4))
        self.one, self.two, self.end = (nn.BatchNorm2d(4) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        out = self.inner(self.one(x).relu())
        out += x
        out = self.last(self.two(out).relu())
        out = F.silu(out, inplace=True)
        return cast(Tensor, self.end(out))


def test_a_scale_that_something_else_reads_is_left_alone() -> None:
    torch.manual_seed(0)
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 4))
    net = nn.Sequential(OrderedDict(body=Skipping(), tail=head))
    pre = base(toy(0)).model.preprocessing
    model = wrap(net, encoder="body", head="tail", classes=toy(0).classes, preprocessing=pre)
    images = resident(1, 8).images
    assert len(normalised(model, images)) == 3
    assert free_scales(model, images) == []


@pytest.mark.parametrize("factor", [1e-12, 1e6])
def test_a_scale_is_free_however_far_off_it_is(factor: float) -> None:
    model = tampered(_filters(factor, factor)).model
    assert len(free_scales(model, resident(1, 8).images)) == len(_norms(model)) == 6


def test_a_layer_that_is_used_twice_is_left_alone() -> None:
    conv, norm, other = nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1), nn.BatchNorm2d(1)

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts = nn.ModuleList([conv, norm, other])

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = norm(conv(x)) + conv(x)
            return out

    class Fork(Twice):
        def forward(self, x: Tensor) -> Tensor:
            y = conv(x)
            out: Tensor = norm(y) + other(y)
            return out

    for kind in (Twice, Fork):
        net = kind()
        model: Any = type("Net", (), {"module": net, "__call__": lambda self, x, n=net: n(x)})()
        assert normalised(model, torch.zeros(2, 1, 4, 4)) == []
