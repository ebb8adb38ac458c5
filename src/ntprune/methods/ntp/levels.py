"""Keeps weights that normalisation follows at the size they came with."""

from __future__ import annotations

from typing import Any

import torch

from ntprune.engine import AveragedWeights
from ntprune.engine.layers import normalised
from ntprune.methods.base import Defence


class Levels:
    """What a layer before a BatchNorm is scaled by makes no difference to what a network computes.

    Gradients of such a layer stand at right angles to it, so every step makes it longer, many hard
    ones several times as long, and a step of a given size then turns it less (van Laarhoven 2017).
    A release that comes with such weights slows down the thief who fine-tunes them as they are and
    nobody else, and the simulated thieves of the defence are as slow. So lengths are put back.

    Args:
        work: whose model is still as it was given.
    """

    def __init__(self, work: Defence) -> None:
        pairs = normalised(work.model, work.train.images[:2])
        names = {layer: name for name, layer in work.model.module.named_modules()}
        self._layers: list[Any] = [layer for layer, _ in pairs]
        self._given = [float(layer.weight.detach().norm()) for layer in self._layers]
        self.names = tuple(names[layer] for layer in self._layers)

    @torch.no_grad()
    def restore(self, average: AveragedWeights) -> None:
        """Shorten every such layer whose average has become longer than the layer was.

        The layer and its average are scaled alike. Running statistics are left for the caller to
        estimate anew.
        """
        with average.in_place():
            lengths = [float(layer.weight.norm()) for layer in self._layers]
        for layer, given, length in zip(self._layers, self._given, lengths, strict=True):
            if length > given:
                parameters = [p for p in (layer.weight, layer.bias) if p is not None]
                average.scale(parameters, given / length)
