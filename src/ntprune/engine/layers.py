"""Which layers feed which, found by watching one batch pass through."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ntprune.models import Model

WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


@torch.no_grad()
def normalised(model: Model, images: Tensor) -> list[tuple[nn.Module, _BatchNorm]]:
    """Pairs of a convolution or linear layer and the BatchNorm that takes its very output.

    Names and nesting play no part, so any module will do. Layers that are called more than once a
    pass are left out: what holds for one call need not hold for another.

    Args:
        model: left in eval mode.
        images: some resized images, uint8, N×C×H×W.
    """
    # The outputs are kept until the end, or a later tensor could take the identity of an earlier.
    outputs: list[tuple[nn.Module, Tensor]] = []
    pairs: list[tuple[nn.Module, _BatchNorm]] = []
    calls: dict[nn.Module, int] = {}

    def watch(layer: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        calls[layer] = calls.get(layer, 0) + 1
        if isinstance(layer, _BatchNorm):
            pairs.extend((giver, layer) for giver, given in outputs if given is inputs[0])
        else:
            outputs.append((layer, output))

    layers = [m for m in model.module.modules() if isinstance(m, (*WEIGHTED, _BatchNorm))]
    hooks = [layer.register_forward_hook(watch) for layer in layers]
    model.module.eval()
    try:
        model(images)
    finally:
        for hook in hooks:
            hook.remove()
    # A layer whose output is normalised twice has no one scale to be divided by.
    givers = [giver for giver, _ in pairs]
    return [
        (giver, taker)
        for giver, taker in pairs
        if calls[giver] == calls[taker] == 1 and givers.count(giver) == 1
    ]
