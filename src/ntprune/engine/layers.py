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


@torch.no_grad()
def free_scales(model: Model, images: Tensor) -> list[tuple[nn.Module, _BatchNorm]]:
    """The pairs of `normalised` whose first may be of any length: nothing else computes another.

    Something does where a skip passes the BatchNorm by, where the output is changed in place before
    it is normalised, or where another layer has the same weight. The BatchNorm goes by statistics
    of `images` meanwhile, and adds next to nothing to variances, so that whatever it has kept can't
    hide a layer.

    Args:
        model: left in eval mode.
        images: at least two resized images, uint8, N×C×H×W.
    """
    names = {layer: name for name, layer in model.module.named_modules()}
    probe = model.copy()
    probe.module.eval()

    def free(layer: Any, norm: Any) -> bool:
        eps, norm.eps = norm.eps, torch.finfo(torch.float32).tiny
        norm.train()
        before = _outputs(probe, images, layer)
        values = [value for value in (layer.weight, layer.bias) if value is not None]
        for value in values:
            value.mul_(2)  # exact, and so is the way back
        after = _outputs(probe, images, layer)
        for value in values:
            value.div_(2)
        norm.eps = eps
        norm.eval()
        pairs = zip(before, after, strict=True)
        return all(bool((new - old).norm() <= 0.05 * old.norm()) for old, new in pairs)

    return [
        (layer, norm)
        for layer, norm in normalised(model, images)
        if free(*(probe.module.get_submodule(names[each]) for each in (layer, norm)))
    ]


def _outputs(model: Model, images: Tensor, but: nn.Module) -> list[Tensor]:
    """What every layer puts out, in the order of a pass, and the logits."""
    seen: list[Tensor] = []
    hooks = [
        layer.register_forward_hook(lambda _, __, output: seen.append(output.clone()))
        for layer in model.module.modules()
        if isinstance(layer, (*WEIGHTED, _BatchNorm)) and layer is not but
    ]
    try:
        seen.append(model(images))
    finally:
        for hook in hooks:
            hook.remove()
    return seen
