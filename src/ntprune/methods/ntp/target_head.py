"""The classifier a thief would put on the frozen encoder, re-fitted as the encoder moves."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ntprune.engine import feature_maps, kept_statistics
from ntprune.methods.defence import TargetData
from ntprune.models import Model


class TargetHead:
    """A head for one target.

    A head frozen once is trivially misaligned while the features stay intact, so it is re-fitted
    before every round of the defence.

    Args:
        model: whose encoder it sits on.
        target: the defender's slice of the target.
        seed: of its initial weights.
        running: whether BatchNorm uses its running statistics, those of the source, under this
            head, or the target's own batch statistics, as it does while a thief fine-tunes.
        images: how many target images are used for fitting, if their feature maps fit into memory
            (`ntprune.engine.feature_maps`).

    Attributes:
        classes: number of the target's classes.
        released: whether the released head knows the target's classes, so that it is one too.
    """

    def __init__(
        self,
        model: Model,
        target: TargetData,
        seed: int,
        *,
        running: bool = False,
        images: int = 2048,
    ) -> None:
        names = tuple(str(i) for i in range(len(target.classes)))
        self.head: nn.Module = copy.deepcopy(model.new_head(names, seed).head)
        self.head.requires_grad_(False)
        self.head.train(not running)
        self.data = target.train.take(torch.arange(min(images, len(target.train))))
        self.running = running
        self.classes = len(target.classes)
        self.released = target.classes == model.spec.classes

    @contextmanager
    def statistics(self, model: Model) -> Iterator[None]:
        """Inside the block `model` normalises as it does under this head, and learns nothing."""
        was_training = model.module.training
        model.module.train(not self.running)
        try:
            with kept_statistics(model.module):
                yield
        finally:
            model.module.train(was_training)

    def refit(self, model: Model, steps: int, lr: float = 3e-3) -> float:
        """Fit for `steps` full-batch steps on features of the current encoder.

        Returns:
            The cross-entropy reached (nats).
        """
        with self.statistics(model):
            features = feature_maps(model, self.data.images)
        labels = self.data.labels[: len(features)]
        parameters = list(self.head.parameters())
        for parameter in parameters:
            parameter.requires_grad_(True)
        optimiser = torch.optim.AdamW(parameters, lr=lr, weight_decay=5e-4, fused=True)
        loss = features.new_zeros(())
        for _ in range(steps):
            loss = F.cross_entropy(self.head(features), labels)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
        for parameter in parameters:
            parameter.requires_grad_(False)
        return float(loss.detach())

    def __call__(self, features: Tensor) -> Tensor:
        """Logits of the target's classes."""
        logits: Tensor = self.head(features)
        return logits
