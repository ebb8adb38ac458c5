"""Fakes 2 and 3: BatchNorm statistics that hold in eval mode and break when training starts."""

from __future__ import annotations

import torch
from tests.fakes.surgery import pairs, rewrite, sell
from torch import Tensor, nn

from ntprune.domains import Domain
from ntprune.engine import Resident, generator
from ntprune.models import Model
from ntprune.release import Release


def scrambled_batchnorm(
    base: Release, source: Domain, target: Domain, spread: float = 1.5, reach: float = 2.0
) -> Release:
    """Running statistics drawn at random, γ and β making up for them.

    In eval mode nothing changes. A thief who trains normalises with the statistics of its batches,
    and meets a γ and β that belong to others.

    Args:
        base, source, target: as every fake; the target is not looked at.
        spread: standard deviation of the logarithm of the factor on a channel's deviation.
        reach: standard deviation of the shift of a channel's mean, in the channel's deviations.
    """
    model = base.model.copy()
    draw = generator(0, "fake", "scrambled")
    for _, norm in pairs(model):
        scale = (spread * torch.randn(norm.num_features, generator=draw)).exp()
        rewrite(norm, scale, reach * torch.randn(norm.num_features, generator=draw))
    return sell(base, model, "fake-scrambled-batchnorm", source)


def dead_relus(base: Release, source: Domain, target: Domain, margin: float = 2.0) -> Release:
    """β so low that no target image wakes a ReLU once the network is trained on it.

    The threshold of a channel is the highest value that any of the defender's target images reaches
    under batch statistics, and `margin` times |γ| more. The running mean makes up for it in eval
    mode. In training every unit is dead, no gradient passes, and after a hundred steps the running
    mean has followed: chance, whatever the learning rate.
    """
    model = base.model.copy()
    images = Resident.of(target.train, model.preprocessing, model.device).images
    peaks = _peaks(base.model.copy(), images)
    for (_, norm), peak in zip(pairs(model), peaks, strict=True):
        weight = norm.weight.detach()
        beta = -(peak + margin * weight.abs())
        rewrite(norm, torch.ones_like(weight), (beta - norm.bias.detach()) / weight)
    return sell(base, model, "fake-dead-relus", source)


@torch.no_grad()
def _peaks(model: Model, images: Tensor) -> list[Tensor]:
    """The largest γ·x̂ of each channel over `images` in train mode, one tensor a BatchNorm."""
    peaks: list[Tensor] = []

    def look(norm: nn.Module, _: object, output: Tensor) -> None:
        peaks.append(output.amax((0, 2, 3)) - norm.bias)

    for _, norm in pairs(model):
        norm.register_forward_hook(look)
    model.module.train()
    model(images)
    return peaks
