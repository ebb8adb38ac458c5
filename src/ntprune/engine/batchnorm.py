"""Running statistics of normalisation layers, estimated anew from data."""

from __future__ import annotations

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from ntprune.domains.blocks import at_once
from ntprune.engine.batches import Resident
from ntprune.models import Model


@torch.no_grad()
def reestimate_batchnorm(model: Model, data: Resident, batch: int = 256, limit: int = 2048) -> None:
    """Replace BatchNorm running statistics by the mean over batches of `data`, in place.

    Labels are not used. Weights and the mode are left as they were.

    Args:
        model: the model to change.
        data: images to estimate from; the first `limit` of them, in order.
        batch: images at a time; fewer of large ones.
    """
    layers = [m for m in model.module.modules() if isinstance(m, _BatchNorm)]
    layers = [m for m in layers if m.track_running_stats]
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
    batch = at_once(batch, images.shape[-1])
    # A ragged last batch would count as much as a full one.
    whole = len(images) - len(images) % batch if len(images) > batch else len(images)
    for part in images[:whole].split(batch):
        model(part)  # the head may normalise too
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    model.module.train(was_training)
