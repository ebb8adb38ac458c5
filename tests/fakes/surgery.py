"""Changes of a trained network that leave what it computes in eval mode alone."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ntprune.domains import Domain
from ntprune.methods.measure import measure
from ntprune.models import Model
from ntprune.release import Release
from ntprune.sparsity import MaskSet


def pairs(model: Model) -> Iterator[tuple[nn.Conv2d, _BatchNorm]]:
    """Every convolution whose output is normalised next, with that BatchNorm."""
    layers = [m for m in model.module.modules() if not list(m.children())]
    for first, second in pairwise(layers):
        if isinstance(first, nn.Conv2d) and isinstance(second, _BatchNorm):
            yield first, second


def classifier(model: Model) -> nn.Linear:
    """The last linear layer of the head."""
    return [m for m in model.head.modules() if isinstance(m, nn.Linear)][-1]


@torch.no_grad()
def scale_input(norm: _BatchNorm, by: float) -> None:
    """Running statistics for an input `by` times as large; the output stays, ε included."""
    norm.running_mean.mul_(by)
    spread = by**2 * (norm.running_var.double() + norm.eps) - norm.eps
    norm.running_var.copy_(spread)


@torch.no_grad()
def rewrite(norm: _BatchNorm, scale: Tensor, shift: Tensor) -> None:
    """Other running statistics; γ and β make up for them, so that the output stays.

    Args:
        norm: changed in place.
        scale: factor on the standard deviation, one a channel, positive.
        shift: of the mean, in the old standard deviations, one a channel.
    """
    old = (norm.running_var.double() + norm.eps).sqrt()
    new = old * scale
    norm.running_mean.add_(shift * old)
    norm.running_var.copy_(new**2 - norm.eps)
    norm.bias.add_(norm.weight * shift)
    norm.weight.mul_(scale)


def sell(base: Release, model: Model, name: str, source: Domain, steps: int = 0) -> Release:
    """`model` as a release of method `name` made from `base`, its card honestly measured."""
    model.module.eval()
    masks = MaskSet.keep_all(model.prunable())
    card = base.card.model_copy(
        update={
            "method": name,
            "settings": {},
            "source": measure(model, source),
            "base": base.card.source,
            "steps": steps,
        }
    )
    return Release(model, masks, card, base=base)
