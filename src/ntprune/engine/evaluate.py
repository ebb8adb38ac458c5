"""Measuring a model. It sets the mode itself and puts it back."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from ntprune.domains.blocks import at_once
from ntprune.engine.batches import Resident
from ntprune.engine.device import widest
from ntprune.models import Model

BATCH = 500


@torch.no_grad()
def evaluate(model: Model, data: Resident, batch: int = BATCH) -> tuple[float, float]:
    """Top-1 accuracy (0 to 1) and mean cross-entropy (nats) in eval mode over every image once.

    Args:
        model: to be measured.
        data: images and labels.
        batch: images at a time; fewer of large ones.
    """
    device = data.labels.device
    correct = torch.zeros((), dtype=torch.int64, device=device)
    exact = widest(device)
    loss = torch.zeros((), dtype=exact, device=device)
    for logits, labels in _passes(model, data, batch):
        correct += (logits.argmax(1) == labels).sum()
        loss += F.cross_entropy(logits, labels, reduction="sum").to(exact)
    return correct.item() / len(data), loss.item() / len(data)


def accuracy(model: Model, data: Resident) -> float:
    """Top-1 accuracy (0 to 1) in eval mode."""
    return evaluate(model, data)[0]


@torch.no_grad()
def right(model: Model, data: Resident) -> Tensor:
    """Whether each image's most likely class is its label, in eval mode: bool, N, on its device."""
    return torch.cat([logits.argmax(1) == labels for logits, labels in _passes(model, data, BATCH)])


@torch.no_grad()
def outputs(model: Model, data: Resident) -> Tensor:
    """Logits (N×K) of every image in eval mode, in the order of `data`, on its device."""
    return torch.cat([logits for logits, _ in _passes(model, data, BATCH)])


def _passes(model: Model, data: Resident, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Logits and labels of `batch` images at a time, fewer of large ones, in eval mode."""
    was_training = model.module.training
    batch = at_once(batch, data.images.shape[-1])
    model.module.eval()
    for images, labels in zip(data.images.split(batch), data.labels.split(batch), strict=True):
        yield model(images), labels
    model.module.train(was_training)
