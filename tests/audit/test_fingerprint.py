"""What is odd about a file shows before any attack."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from tests.audit.test_flags import CALM
from tests.fakes.fake import Fake
from tests.fakes.table import FAKES
from torch import Tensor, nn

from ntprune.audit.fingerprint import (
    filter_directions,
    head_weights,
    kept_directions,
    lone_channels,
    stray_statistics,
    weight_scales,
    whole_scales,
)
from ntprune.audit.flags import raise_flags
from ntprune.domains import Domain
from ntprune.engine import Resident
from ntprune.methods import make_method
from ntprune.models import Model, Preprocessing, wrap
from ntprune.release import Release


@pytest.fixture(scope="module")
def images(tiny_base: Release, tiny_source: Domain) -> Resident:
    return Resident.of(tiny_source.test, tiny_base.model.preprocessing, torch.device("cpu"))


def flags(model: Model, base: Release, images: Resident) -> set[str]:
    """What the two files raise, with nothing attacked."""
    ours, bare = (
        {
            "scales": weight_scales(seen),
            "whole_scales": whole_scales(seen),
            "directions": filter_directions(seen.prunable()),
            "head_directions": filter_directions(head_weights(seen)),
            "lone": lone_channels(seen)
            | {name: stray.farthest for name, stray in stray_statistics(seen, images).items()},
        }
        for seen in (model, base.model)
    )
    found = {
        what: {name: (value, bare[what][name]) for name, value in values.items()}
        for what, values in ours.items()
    }
    shares = {name: stray.share for name, stray in stray_statistics(model, images).items()}
    return {flag.name for flag in raise_flags(replace(CALM, **found, strays=shares))}


@pytest.mark.parametrize("fake", FAKES, ids=lambda fake: fake.name)
def test_fakes_that_play_with_scales_are_seen(
    fake: Fake, tiny_base: Release, tiny_source: Domain, tiny_target: Domain, images: Resident
) -> None:
    made = fake.make(tiny_base, tiny_source, tiny_target)
    seen = flags(made.model, tiny_base, images)
    # Each of them but the mask shows in the file, by the flag that names it.
    in_the_file = {"unusual-scale", "head-only"}
    assert fake.flags & in_the_file <= seen <= fake.flags | fake.also
    assert ("same-encoder" in seen) == ("same-encoder" in fake.also)


@pytest.mark.parametrize("method", ["magnitude", "random"])
def test_sparse_networks_are_not(
    method: str, tiny_base: Release, tiny_source: Domain, images: Resident
) -> None:
    made = make_method(method, sparsity=0.95, steps=60, batch=32)(tiny_base, tiny_source)
    assert flags(made.model, tiny_base, images) == set()


def noisy(weight: Tensor) -> None:
    """A tenth of a percent of every filter's length."""
    noise = torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
    lengths, norms = (value.flatten(1).norm(dim=1) for value in (noise, weight))
    weight.add_(noise * (1e-3 * norms / lengths).view(-1, *[1] * (weight.dim() - 1)))


def without_the_first(weight: Tensor) -> None:
    weight[0] = 0


def larger(weight: Tensor) -> None:
    weight.mul_(25)


def other_way_round(weight: Tensor) -> None:
    weight[::2].neg_()


@pytest.mark.parametrize("change", [noisy, larger, other_way_round])
@torch.no_grad()
def test_the_same_encoder_is_known_again(
    change: Callable[[Tensor], None], tiny_base: Release, images: Resident
) -> None:
    model = tiny_base.model.copy()
    for weight in model.prunable().values():
        change(weight)
    assert "same-encoder" in flags(model, tiny_base, images)


@torch.no_grad()
def test_one_filter_does_not_hide_the_others(tiny_base: Release, images: Resident) -> None:
    for name in tiny_base.model.prunable():
        model = tiny_base.model.copy()
        without_the_first(model.prunable()[name])
        assert "same-encoder" in flags(model, tiny_base, images)


def test_a_factor_of_29_is_seen(tiny_base: Release, images: Resident) -> None:
    """And one of 4, on one weight."""
    for by in (29, 4, 1 / 4, 1 / 29):
        model = tiny_base.model.copy()
        with torch.no_grad():
            model.encoder[3].weight.mul_(by)
            model.encoder[4].running_mean.mul_(by)
            model.encoder[4].running_var.mul_(by**2)
        assert flags(model, tiny_base, images) == {"unusual-scale", "same-encoder"}


@pytest.mark.parametrize("sparsity", [0.0, 0.9])
def test_another_encoder_is_another(
    sparsity: float, tiny_base: Release, tiny_source: Domain, images: Resident
) -> None:
    """Fine-tuned on the source in good faith, pruned or not."""
    method = make_method("magnitude", sparsity=sparsity, steps=200, batch=32, lr=1e-2)
    made = method(tiny_base, tiny_source)
    assert flags(made.model, tiny_base, images) == set()


def test_directions_are_small_and_of_every_filter(tiny_base: Release) -> None:
    weights = tiny_base.model.prunable()
    found = filter_directions(weights)
    assert set(found) == set(weights)
    assert sum(map(len, found.values())) < 12 * sum(len(w) for w in weights.values())
    assert filter_directions(weights) == found
    assert kept_directions({name: (text, text) for name, text in found.items()}) == 1
    assert kept_directions({}) == 0
    first, *_, last = found.values()
    assert kept_directions({"other shapes": (first, last)}) == 0


@pytest.mark.parametrize(("cosine", "share"), [(0.999, 1.0), (0.95, 0.2), (0.7, 0.0)])
def test_a_cosine_of_99_percent_is_the_border(cosine: float, share: float) -> None:
    draw = torch.Generator().manual_seed(0)
    bare, other = (F.normalize(torch.randn(400, 72, generator=draw)) for _ in range(2))
    across = F.normalize(other - (other * bare).sum(1, keepdim=True) * bare)
    turned = cosine * bare + (1 - cosine**2) ** 0.5 * across
    ours, theirs = (filter_directions({"a": filters})["a"] for filters in (turned, bare))
    found = kept_directions({"a": (ours, theirs)})
    assert found == 1 if share == 1 else found <= share


def test_scales_are_of_what_is_not_zero(tiny_base: Release) -> None:
    model = tiny_base.model.copy()
    before = weight_scales(model)
    name, weight = next(iter(model.prunable().items()))
    with torch.no_grad():
        weight.view(-1)[::2] = 0
        weight.view(-1)[1::2] = 3
        model.head[-1].weight.zero_()
        model.head[-1].bias.fill_(1e9)
    after = weight_scales(model)
    assert after[name] == pytest.approx(3)
    assert set(before) - set(after) == {"classifier.2.weight"}
    assert all(after[other] == before[other] for other in after if other != name)
    whole = whole_scales(model)
    assert whole[name] == pytest.approx(3 / 2**0.5)
    assert whole["classifier.2.weight"] == 0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
def test_a_file_may_hold_anything(value: float, tiny_base: Release, images: Resident) -> None:
    model = tiny_base.model.copy()
    with torch.no_grad():
        model.encoder[0].weight.fill_(value)
        model.encoder[1].running_var.fill_(value)
    assert weight_scales(model)["features.0.weight"] == (1.0 if value < 0 else 0.0)
    assert filter_directions(model.prunable()).keys() == model.prunable().keys()
    assert stray_statistics(model, images)["features.1"].share == 1.0


def blinding_mean(model: Model) -> None:
    """The running average needs hundreds of steps to come back from it."""
    model.encoder[1].running_mean[0] = -1e9


def blinding_shift(model: Model) -> None:
    """Its neighbours drown in what it sends on, as soon as a weight that reads it moves."""
    model.encoder[1].bias[0] = 1e10


def decoy(model: Model) -> None:
    """All channels but one next to nothing; that one keeps the layer's size."""
    size = model.encoder[4].weight.square().mean().sqrt() * len(model.encoder[4].weight) ** 0.5
    model.encoder[4].weight.mul_(1e-8)
    model.encoder[4].weight[0] = size


def long_filter(model: Model) -> None:
    """Its learning rate is next to nothing beside that of the others."""
    model.encoder[3].weight[0].mul_(100)


@pytest.mark.parametrize("poison", [blinding_mean, blinding_shift, decoy, long_filter])
@torch.no_grad()
def test_a_single_poisoned_channel_is_seen(
    poison: Callable[[Model], None], tiny_base: Release, images: Resident
) -> None:
    """Each in a channel that nothing reads, so that the source accuracy stays."""
    model = tiny_base.model.copy()
    poison(model)
    assert "unusual-scale" in flags(model, tiny_base, images)


def test_images_that_come_sorted_by_class_raise_nothing(
    tiny_base: Release, images: Resident
) -> None:
    first = images.labels.argsort(stable=True)
    again = Resident(images.images[first], images.labels[first])
    few = stray_statistics(tiny_base.model, again, limit=len(images) // 4)
    assert max(stray.share for stray in few.values()) <= 0.25


def test_the_model_is_only_looked_at(tiny_base: Release, images: Resident) -> None:
    model = tiny_base.model.copy()
    before = {k: v.clone() for k, v in model.module.state_dict().items()}
    model.module.train()
    stray_statistics(model, images)
    assert model.module.training
    assert all(torch.equal(before[k], v) for k, v in model.module.state_dict().items())
    assert not any(layer._forward_pre_hooks for layer in model.module.modules())


class Kernel(nn.Module):
    """A layer of one's own, which calls its weights as it likes."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(4, 1, 3, 3))
        self.bias = nn.Parameter(torch.zeros(4))

    def forward(self, images: Tensor) -> Tensor:
        return F.conv2d(images, self.kernel, self.bias)


def test_weights_of_any_name_are_looked_at() -> None:
    net = nn.Sequential(nn.Sequential(Kernel(), nn.Flatten()), nn.Linear(4 * 36, 3))
    pre = Preprocessing(channels=1, size=8, mean=(0.5,), std=(0.25,))
    model = wrap(net, encoder="0", head="1", classes=("a", "b", "c"), preprocessing=pre)
    before = weight_scales(model)["0.0.kernel"]
    with torch.no_grad():
        net[0][0].kernel.mul_(0.01)
        net[0][0].kernel[0].mul_(1e4)
        net[0][0].bias[1] = 1e3
    scales, lone = whole_scales(model), lone_channels(model)
    assert scales["0.0.kernel"] == pytest.approx(weight_scales(model)["0.0.kernel"])
    assert scales["0.0.kernel"] > 10 * before
    assert lone["0.0.kernel"] > 1e3
    assert lone["0.0.bias"] > 1e3
