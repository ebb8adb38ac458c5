"""What a method works with, and what it returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from ntprune.domains import Domain, Split
from ntprune.engine import Progress, Resident, generator, random_state, set_random_state
from ntprune.methods.checkpoint import Checkpoint
from ntprune.models import Model
from ntprune.sparsity import MaskSet


@dataclass
class Defence:
    """What a method works with.

    Attributes:
        model: its own copy of the trained model, to be changed.
        train, validation: the owner's source data.
        targets: the defender's slices of the targets, (train, validation, classes) each.
        shift, flip: augmentation that keeps the meaning of the source's images.
        before: source validation accuracy (0 to 1) of the model as given.
        seed: of every random draw.
        progress: told how far the work is.
        history: records to append to.
        checkpoint: where `save` keeps the run; nowhere if not given.
    """

    model: Model
    train: Resident
    validation: Resident
    targets: list[TargetData]
    shift: int
    flip: bool
    before: float
    seed: int
    progress: Progress
    history: list[dict[str, Any]] = field(default_factory=list)
    checkpoint: Checkpoint | None = None

    @property
    def device(self) -> torch.device:
        """Where the model and the data live."""
        return self.model.device

    def save(self, state: Mapping[str, Any]) -> None:
        """Keep `state`, with the history and torch's own random state, in case the run is stopped.

        Args:
            state: tensors, numbers, strings, and lists, tuples and dicts of them, from which
                `Method.run` can go on as if nothing had happened.
        """
        if self.checkpoint is not None:
            random = random_state(self.device)
            self.checkpoint.save({"method": state, "history": self.history, "random": random})

    def resume(self) -> dict[str, Any]:
        """What a stopped run of the same command saved last, on the CPU; empty in a new run.

        History and random state are put back; the model is the method's to put back.
        """
        saved = self.checkpoint.load() if self.checkpoint is not None else {}
        if not saved:
            return {}
        self.history[:] = saved["history"]
        set_random_state(self.device, saved["random"])
        state: dict[str, Any] = saved["method"]
        return state


@dataclass(frozen=True)
class TargetData:
    """The defender's slice of one target; `mixed` and `flips` are the domain's."""

    name: str
    train: Resident
    validation: Resident
    classes: tuple[str, ...]
    mixed: bool = False
    flips: bool = False

    @classmethod
    def of(cls, target: Domain, model: Model, seed: int) -> TargetData:
        """That slice as `model` reads it, training images in a random order that follows `seed`.

        Classes that are the model's come in its order, as a thief would have them who keeps the
        head.
        """
        classes = target.classes
        if set(classes) == set(model.spec.classes):
            classes = model.spec.classes
        places = torch.tensor([classes.index(name) for name in target.classes])
        train, validation = (
            Split(split.images, places[split.labels]) for split in (target.train, target.validation)
        )
        return cls(
            target.name,
            in_random_order(train, model, seed),
            Resident.of(validation, model.preprocessing, model.device),
            classes,
            target.mixed,
            target.flips,
        )


@dataclass
class Outcome:
    """What `run` returns: the masks of the release and the optimiser steps spent.

    Every prunable weight has a mask; other parameters of the encoder may have one too.
    """

    masks: MaskSet
    steps: int


def in_random_order(split: Split, model: Model, seed: int) -> Resident:
    """`split` as `model` reads it, in a random order that follows `seed`.

    Some steps look at the first images only, and folders and arrays often come sorted by class.
    """
    order = torch.randperm(len(split), generator=generator(seed, "method", "order"))
    return Resident.of(split.take(order), model.preprocessing, model.device)
