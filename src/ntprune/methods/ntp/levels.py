"""Weights that normalisation follows, brought back to the size they came with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from ntprune.engine.layers import free_scales
from ntprune.methods.defence import Defence
from ntprune.models import Model


class Grown(NamedTuple):
    """A layer that training has made longer.

    Attributes:
        layer: its name in the module.
        norm: of the BatchNorm behind it; `None` if that is not to follow.
        factor: what its weight and bias are to be multiplied by, in (0, 1).
    """

    layer: str
    norm: str | None
    factor: float


class Levels:
    """What a layer before a BatchNorm is scaled by makes no difference to what a network computes.

    Gradients of such a layer stand at right angles to it, so every step makes it longer, many hard
    ones several times as long, and a step of a given size then turns it less (van Laarhoven 2017).
    That is good for training, which comes to rest, and a fake where a file is released: it slows
    down the thief who fine-tunes it as it is, and nobody else. So what is released, and what the
    thieves that are simulated and those that rank it are given, is as long as the model that was
    given.

    Layers whose scale matters elsewhere, too, because a skip passes the BatchNorm by or another
    layer has the same weight, are left alone.

    Args:
        work: whose model is still as it was given.
    """

    def __init__(self, work: Defence) -> None:
        names = {layer: name for name, layer in work.model.module.named_modules()}
        images = work.train.images[:2]
        self._given = [
            (names[layer], names[norm], float(self._weight(layer).norm()))
            for layer, norm in free_scales(work.model, images)
        ]

    @torch.no_grad()
    def grown(self, model: Model) -> list[Grown]:
        """The layers of `model` that are longer than they came."""
        found = []
        for layer, norm, given in self._given:
            length = float(self._weight(model.module.get_submodule(layer)).norm())
            if length > given:
                found.append(Grown(layer, norm, given / length))
        return found

    @torch.no_grad()
    def levelled(self, model: Model) -> Model:
        """A copy of `model` that computes the same, no layer longer than it was.

        BatchNorm's running statistics are scaled with the layer before it, so the two differ in
        eval mode by what BatchNorm adds to variances, and in train mode likewise.
        """
        made = model.copy()
        shorten(made, self.grown(model))
        return made

    @staticmethod
    def _weight(layer: Any) -> torch.Tensor:
        weight: torch.Tensor = layer.weight.detach()
        return weight


@torch.no_grad()
def shorten(model: Model, layers: Sequence[Grown]) -> None:
    """Bring `layers` back to the length they came with, and what the norms behind them expect."""
    for each in layers:
        layer: Any = model.module.get_submodule(each.layer)
        layer.weight.mul_(each.factor)
        if layer.bias is not None:
            layer.bias.mul_(each.factor)
        if each.norm is None:
            continue
        norm: Any = model.module.get_submodule(each.norm)
        if norm.running_mean is not None:
            norm.running_mean.mul_(each.factor)
            norm.running_var.mul_(each.factor**2)
