"""What a thief has to work with, and what it must have and know to begin with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import torch
from torch import nn

from ntprune.engine import Batches, Optimiser, Resident, Schedule, TrainLog, train
from ntprune.models import Model
from ntprune.release import Release
from ntprune.sparsity import MaskSet


@dataclass(frozen=True)
class ThreatModel:
    """What a thief needs for an attack.

    Attributes:
        weights: reads the released weights.
        labels: has labels for its target samples.
        source: has labelled images of the source.
        mask: `free`, pruned weights may grow back; `kept`, they stay zero; `none`, no released
            weight is in the thief's model.
        head: `kept`, the released one; `new`, a fresh one; `any`, the released one where the
            target's classes are the release's and a fresh one elsewhere; `none`, no released
            weight is in it.
        knowledge: what the thief must know, in one phrase.
    """

    weights: bool
    labels: bool
    source: bool
    mask: Literal["free", "kept", "none"]
    head: Literal["kept", "new", "any", "none"]
    knowledge: str


@dataclass
class Theft:
    """What `Attack.run` works with.

    Attributes:
        model: the thief's own copy, head in place, to be changed.
        release: what was stolen, in whatever mode it was given; not to be changed.
        samples: the thief's target images.
        source: its labelled source images, for an attack that needs some; labels in the order of
            `model`'s classes where those are the release's.
        batches: its target images, shuffled.
        steps: optimiser steps it may spend, all phases together.
        lr: (peak) learning rate.
        optimiser: `adamw`, `adam` or `sgd`.
        schedule: of the learning rate, `one-cycle` or `constant`.
        weight_decay: decoupled for `adamw`.
        draw: CPU generator of every draw but the head's and the order's.
    """

    model: Model
    release: Release
    samples: Resident
    source: Resident | None
    batches: Batches
    steps: int
    lr: float
    optimiser: Optimiser
    schedule: Schedule
    weight_decay: float
    draw: torch.Generator

    @property
    def masks(self) -> MaskSet:
        """Of the release."""
        return self.release.masks

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the target's classes."""
        return self.model.spec.classes

    @cached_property
    def released(self) -> Model:
        """The released model on the thief's device, in eval mode and frozen."""
        model = self.release.model.copy().to(self.samples.labels.device)
        model.module.eval().requires_grad_(False)
        return model

    @cached_property
    def source_head(self) -> nn.Module:
        """Features to logits of `source`'s labels, in `model`'s own head where it has the classes.

        Elsewhere it is a trainable copy of the released head, which is thrown away in the end.
        """
        if set(self.classes) == set(self.release.model.spec.classes):
            return self.model.head
        copy = self.release.model.copy().to(self.samples.labels.device)
        return copy.head.train().requires_grad_(True)

    def fresh(self) -> Model:
        """The thief's architecture with random weights, drawn anew at every call."""
        seed = int(torch.randint(2**62, (), generator=self.draw))
        return Model.fresh(self.model.spec, seed).to(self.samples.labels.device)

    def split(self, share: float) -> tuple[int, int]:
        """Steps of a first phase (`share` of all, perhaps none) and of the last (never none)."""
        first = min(round(share * self.steps), self.steps - 1)
        return first, self.steps - first

    def train(self, steps: int | None = None, **changes: Any) -> TrainLog:
        """Train `model` on the thief's batches by its settings.

        Args:
            steps: all of them if not given; at least 1.
            changes: arguments of `engine.train` that are to differ.

        Raises:
            TrainingDivergedError: the loss was not finite at the end.
        """
        settings: dict[str, Any] = {
            "lr": self.lr,
            "weight_decay": self.weight_decay,
            "optimiser": self.optimiser,
            "schedule": self.schedule,
        }
        batches = changes.pop("batches", self.batches)
        steps = self.steps if steps is None else steps
        return train(self.model, batches, steps, **(settings | changes))
