"""Running statistics of normalisation layers, estimated anew from data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase

from ntprune.domains.blocks import at_once
from ntprune.engine.batches import Resident
from ntprune.models import Model

ENOUGH = 2048  # images to estimate statistics from


@torch.no_grad()
def reestimate_batchnorm(
    model: Model, data: Resident, batch: int = 256, limit: int = ENOUGH
) -> None:
    """Replace BatchNorm running statistics by the mean over batches of `data`, in place.

    Labels are not used. Weights and the mode are left as they were. Where images are so large that
    fewer fit in, variances are those within batches and between them: a few images have less of it
    among themselves than all have.

    Args:
        model: the model to change.
        data: images to estimate from; the first `limit` of them, in order.
        batch: images at a time; fewer of large ones.
        limit: of images.
    """
    found = (m for m in model.module.modules() if isinstance(m, _BatchNorm))
    layers: list[Any] = [m for m in found if m.track_running_stats]
    if not layers:
        return
    was_training = model.module.training
    model.module.eval()
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.train()
        layer.reset_running_stats()
        layer.momentum = None  # cumulative average
    images = data.images[:limit]
    batch, wanted = at_once(batch, images.shape[-1]), batch
    between = [torch.zeros_like(layer.running_mean) for layer in layers if batch < wanted]
    # A ragged last batch would count as much as a full one.
    whole = len(images) - len(images) % batch if len(images) > batch else len(images)
    parts = images[:whole].split(batch)
    for number, part in enumerate(parts, 1):
        before = [layer.running_mean.clone() for layer in layers]
        model(part)  # the head may normalise too
        for spread, layer, old in zip(between, layers, before, strict=False):
            # Welford's update; the running mean is that of all batches so far.
            off = number * (layer.running_mean - old)
            spread.add_(off.square(), alpha=1 - 1 / number)
    for spread, layer in zip(between, layers, strict=False):
        layer.running_var.add_(spread / len(parts))
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    model.module.train(was_training)


def rebased_layers(model: Model) -> list[_BatchNorm]:
    """Every BatchNorm that can make up for other statistics: with its own, a scale and a shift."""
    return [
        layer
        for layer in model.module.modules()
        if isinstance(layer, _BatchNorm)
        and layer.running_mean is not None
        and layer.weight is not None
        and layer.bias is not None
    ]


@torch.no_grad()
def rebase_statistics(model: Model, images: Tensor) -> None:
    """Give each BatchNorm the statistics of `images`, scale and shift making up for them.

    On `images` the function in eval mode stays what it was, and in train mode it becomes the same:
    what only worked with other statistics now works with those of these images.

    Args:
        model: left in eval mode.
        images: resized images, uint8, N×C×H×W, of which N and positions together exceed one.
    """
    done: set[nn.Module] = set()

    def rebase(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        norm: Any = layer
        if norm in done:
            return
        done.add(norm)
        rest = [d for d in range(inputs[0].dim()) if d != 1]
        var, mean = torch.var_mean(inputs[0], dim=rest, correction=0)
        slope = norm.weight / (norm.running_var + norm.eps).sqrt()
        norm.bias.add_(slope * (mean - norm.running_mean))
        norm.weight.copy_(slope * (var + norm.eps).sqrt())
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(var)

    model.module.eval()
    hooks = [layer.register_forward_pre_hook(rebase) for layer in rebased_layers(model)]
    try:
        model(images)
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def kept_statistics(module: nn.Module) -> Iterator[None]:
    """Inside the block, passes in train mode leave running statistics alone.

    Those of BatchNorm, and of InstanceNorm where it keeps some.
    """
    layers = [m for m in module.modules() if isinstance(m, _NormBase)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 0.0
    try:
        yield
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
