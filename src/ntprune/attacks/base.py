"""What every attack has in common. An attack implements `run`; the final call owns the rest."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, final

import torch

from ntprune.attacks.theft import Theft, ThreatModel
from ntprune.engine import (
    Batches,
    Optimiser,
    Resident,
    Schedule,
    TrainLog,
    generator,
    layers_draw,
    reestimate_batchnorm,
    stream_seed,
)
from ntprune.errors import AuditError, DataInvalidError
from ntprune.models import Model
from ntprune.release import Release


@dataclass(frozen=True)
class Stolen:
    """What an attack returns: the thief's model in eval mode, and its log if it trained."""

    model: Model
    log: TrainLog | None


class Attack(ABC):
    """A thief's procedure. Subclasses set `name`, `summary` and `threat`, and write `run`.

    BatchNorm statistics of what was trained are re-estimated on the thief's samples in the end. A
    moving average lags behind by its momentum: after the ten steps of a trial a third of it is
    still the source's, so that a thief could not tell a good learning rate from a bad one, and
    least of all one who started from the release. `holds_statistics` is for an attack that
    chooses, or keeps, statistics of its own.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    threat: ClassVar[ThreatModel]
    holds_statistics: ClassVar[bool] = False

    @final
    def __call__(
        self,
        release: Release,
        samples: Resident,
        classes: tuple[str, ...],
        *,
        source: Resident | None = None,
        lr: float = 3e-3,
        steps: int = 200,
        batch: int = 64,
        optimiser: Optimiser = "adamw",
        schedule: Schedule = "one-cycle",
        weight_decay: float = 5e-4,
        seed: int = 0,
    ) -> Stolen:
        """Attack `release`, which is not changed.

        Args:
            release: what the thief got hold of.
            samples: its labelled target images, resized as the release's preprocessing wants.
            classes: names of the target's classes.
            source: its labelled source images, resized likewise, if the attack needs any.
            lr: (peak) learning rate.
            steps: optimiser steps of all phases together, at least 1.
            batch: images a step (all samples, if there are fewer).
            optimiser: `adamw`, `adam` or `sgd`.
            schedule: of the learning rate, `one-cycle` or `constant`.
            weight_decay: decoupled for `adamw`.
            seed: of head, order and any other draw.

        Raises:
            AuditError: a head is to be kept and the target has other classes, or source images
                are needed and none were given.
            DataInvalidError: no samples, or labels outside the classes.
            SettingsError: an unknown optimiser or schedule.
            TrainingDivergedError: the loss was not finite at the end.
        """
        self._check(samples, len(classes), "target")
        if not self.applies(release, classes):
            raise AuditError(
                f"attack '{self.name}' keeps the head, but the release knows other classes than "
                "the target: use an attack with a new head"
            )
        if self.threat.source:
            if source is None:
                raise AuditError(
                    f"attack '{self.name}' needs labelled source images and got none: hand it some "
                    "as source, or use an attack that needs none"
                )
            known = release.model.spec.classes
            self._check(source, len(known), "source")
            if set(known) == set(classes):  # one head serves both, in the target's order
                order = torch.tensor([classes.index(name) for name in known])
                source = Resident(source.images, order.to(source.labels)[source.labels])
        device = samples.labels.device
        model = self._start(release, classes, stream_seed(seed, "attack", "init")).to(device)
        model.module.requires_grad_(True)  # what the owner has frozen, a thief has not
        draw = generator(seed, "attack", "order")
        theft = Theft(
            model=model,
            release=release,
            samples=samples,
            source=source if self.threat.source else None,
            batches=Batches(samples, batch, draw),
            steps=steps,
            lr=lr,
            optimiser=optimiser,
            schedule=schedule,
            weight_decay=weight_decay,
            draw=generator(seed, "attack", "draw"),
        )
        with layers_draw(stream_seed(seed, "attack", "layers"), device):
            log = self.run(theft)
        model.module.eval()
        if not self.holds_statistics:
            reestimate_batchnorm(model, samples)
        return Stolen(model, log)

    @abstractmethod
    def run(self, theft: Theft) -> TrainLog | None:
        """Change `theft.model` in place; return the log if something was trained."""

    @classmethod
    def applies(cls, release: Release, classes: tuple[str, ...]) -> bool:
        """Whether the attack can be made on `release` for a target with `classes`."""
        return cls.threat.head != "kept" or set(release.model.spec.classes) == set(classes)

    def _start(self, release: Release, classes: tuple[str, ...], seed: int) -> Model:
        stolen = release.model
        if self.threat.head == "none":
            return Model.fresh(stolen.spec.model_copy(update={"classes": classes}), seed)
        if self.threat.head == "new" or set(stolen.spec.classes) != set(classes):
            return stolen.new_head(classes, seed)
        # A thief reads class names: their order is none of the owner's defences.
        return stolen.copy() if stolen.spec.classes == classes else stolen.reordered(classes)

    def _check(self, samples: Resident, classes: int, what: str) -> None:
        if len(samples) == 0:
            raise DataInvalidError(f"attack '{self.name}' got no {what} sample: raise the budget")
        top = int(samples.labels.max())
        if top >= classes:
            raise DataInvalidError(
                f"attack '{self.name}': {what} label {top} has no class among {classes}"
            )
