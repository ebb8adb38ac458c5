"""What every attack has in common. An attack implements `run`; the final call owns the rest."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal, final

import torch

from ntprune.engine import Batches, Resident, TrainLog, generator, stream_seed
from ntprune.errors import AuditError, DataInvalidError
from ntprune.models import Model
from ntprune.release import Release
from ntprune.sparsity import MaskSet


@dataclass(frozen=True)
class ThreatModel:
    """What a thief needs for an attack.

    Attributes:
        weights: reads and changes the released weights.
        labels: has labels for its target samples.
        mask: `free`, pruned weights may grow back; `kept`, they stay zero; `none`, no weights used.
        head: `kept`, `new`, or `none` if no released head is used.
    """

    weights: bool
    labels: bool
    mask: Literal["free", "kept", "none"]
    head: Literal["kept", "new", "none"]


@dataclass
class Theft:
    """What `run` works with.

    Attributes:
        model: the thief's own copy, head in place, to be changed.
        masks: of the release.
        batches: the thief's samples.
        steps: optimiser steps it may spend.
        lr: peak learning rate.
        optimiser: `adamw` or `sgd`.
        weight_decay: decoupled, as in AdamW.
    """

    model: Model
    masks: MaskSet
    batches: Batches
    steps: int
    lr: float
    optimiser: str
    weight_decay: float


@dataclass(frozen=True)
class Stolen:
    """What an attack returns: the thief's model in eval mode, and its log if it trained."""

    model: Model
    log: TrainLog | None


class Attack(ABC):
    """A thief's procedure. Subclasses set `name`, `summary` and `threat`, and write `run`."""

    name: ClassVar[str]
    summary: ClassVar[str]
    threat: ClassVar[ThreatModel]

    @final
    def __call__(
        self,
        release: Release,
        samples: Resident,
        classes: tuple[str, ...],
        *,
        lr: float = 3e-3,
        steps: int = 200,
        batch: int = 64,
        optimiser: str = "adamw",
        weight_decay: float = 5e-4,
        seed: int = 0,
    ) -> Stolen:
        """Attack `release`, which is not changed.

        Args:
            release: what the thief got hold of.
            samples: its labelled target images, resized as the release's preprocessing wants.
            classes: names of the target's classes.
            lr: peak learning rate.
            steps: optimiser steps, at least 1.
            batch: images a step (all samples, if there are fewer).
            optimiser: `adamw` or `sgd`.
            weight_decay: decoupled.
            seed: of head, order and any other draw.

        Raises:
            AuditError: a head is to be kept and the target has other classes.
            DataInvalidError: no samples, or labels outside `classes`.
            TrainingDivergedError: the loss was not finite at the end.
        """
        if len(samples) == 0:
            raise DataInvalidError(f"attack '{self.name}' got no target sample: raise the budget")
        if int(samples.labels.max()) >= len(classes):
            raise DataInvalidError(
                f"attack '{self.name}': label {int(samples.labels.max())} has no class among "
                f"{len(classes)}"
            )
        if not self.applies(release, classes):
            raise AuditError(
                f"attack '{self.name}' keeps the head, but the release knows other classes than "
                "the target: use an attack with a new head"
            )
        device = samples.labels.device
        model = self._start(release, classes, stream_seed(seed, "attack", "init")).to(device)
        draw = generator(seed, "attack", "order")
        theft = Theft(
            model=model,
            masks=release.masks,
            batches=Batches(samples, batch, draw),
            steps=steps,
            lr=lr,
            optimiser=optimiser,
            weight_decay=weight_decay,
        )
        with torch.random.fork_rng(devices=[]):
            # Layers that draw for themselves, such as dropout, follow the seed too.
            torch.manual_seed(stream_seed(seed, "attack", "layers"))
            log = self.run(theft)
        model.module.eval()
        return Stolen(model, log)

    @abstractmethod
    def run(self, theft: Theft) -> TrainLog | None:
        """Change `theft.model` in place; return the log if something was trained."""

    @classmethod
    def applies(cls, release: Release, classes: tuple[str, ...]) -> bool:
        """Whether the attack can be made on `release` for a target with `classes`."""
        return cls.threat.head != "kept" or release.model.spec.classes == classes

    def _start(self, release: Release, classes: tuple[str, ...], seed: int) -> Model:
        if self.threat.head == "kept":
            return release.model.copy()
        return release.model.new_head(classes, seed)
