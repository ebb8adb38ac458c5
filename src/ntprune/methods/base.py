"""What every defence has in common. A method implements `run`; the final call owns the rest."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, final

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ntprune.domains import Domain, Split, require_content
from ntprune.engine import (
    Progress,
    Resident,
    accuracy,
    generator,
    layers_draw,
    silent,
    stream_seed,
)
from ntprune.errors import (
    ConstraintError,
    DataInvalidError,
    NtpruneError,
    OutputError,
    SettingsError,
    TrainingDivergedError,
    first_fault,
)
from ntprune.methods.checkpoint import Checkpoint, identity
from ntprune.models import Model
from ntprune.release import DEFAULT_PRESET, Card, Release, SourceRecord
from ntprune.release.atomic import discard
from ntprune.release.card import versions
from ntprune.sparsity import MaskSet


class Settings(BaseModel):
    """Base of what a method can be told; by itself, nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class PruningSettings(Settings):
    """Settings of a method that prunes.

    Attributes:
        sparsity: share of prunable weights that become exactly zero.
        batch: images of each domain a step.
    """

    sparsity: float = Field(default=0.0, ge=0, lt=1)
    batch: int = Field(default=128, ge=2)


class ConstrainedSettings(PruningSettings):
    """Settings of a method that promises to keep the source's accuracy.

    Attributes:
        max_source_drop: percentage points of source validation accuracy that may be lost.
    """

    max_source_drop: float = Field(default=1.0, ge=0, le=100)


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
            random = torch.random.get_rng_state()
            self.checkpoint.save({"method": state, "history": self.history, "random": random})

    def resume(self) -> dict[str, Any]:
        """What a stopped run of the same command saved last, on the CPU; empty in a new run.

        History and random state are put back; the model is the method's to put back.
        """
        saved = self.checkpoint.load() if self.checkpoint is not None else {}
        if not saved:
            return {}
        self.history[:] = saved["history"]
        torch.random.set_rng_state(saved["random"])
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


@dataclass
class Outcome:
    """What `run` returns: the masks of the release and the optimiser steps spent.

    Every prunable weight has a mask; other parameters of the encoder may have one too.
    """

    masks: MaskSet
    steps: int


class Method(ABC):
    """A defence. Subclasses set `name`, `summary`, `reference` and `Settings`, and write `run`.

    A class with the `name` of another and a `preset` of its own is a preset of that method. One
    whose `Settings` are `ConstrainedSettings` is held to `max_source_drop`; one with `needs_target`
    is refused without a target (`protect` has it use the source's neighbours instead).

    Args:
        settings: fields of the method's `Settings`.

    Raises:
        SettingsError: an unknown field, or a value outside its range.
    """

    name: ClassVar[str]
    preset: ClassVar[str] = DEFAULT_PRESET
    summary: ClassVar[str]
    reference: ClassVar[str]
    needs_target: ClassVar[bool] = False
    Settings: ClassVar[type[Settings]] = PruningSettings

    def __init__(self, **settings: Any) -> None:
        try:
            self.settings = self.Settings(**settings)
        except ValidationError as error:
            fault = first_fault(error)
            known = ", ".join(sorted(self.Settings.model_fields)) or "none"
            said = "there is no such setting" if fault.unknown else fault.expected
            raise SettingsError(
                f"method '{self.name}', setting '{fault.where}' = {fault.found!r}: {said} "
                f"(settings are: {known})"
            ) from error

    @final
    def __call__(
        self,
        base: Release | Model,
        source: Domain,
        targets: Sequence[Domain] = (),
        *,
        seed: int = 0,
        device: torch.device | str = "cpu",
        progress: Progress = silent,
        checkpoint: Path | None = None,
    ) -> Release:
        """Protect `base` and return the release. `base` is not changed.

        Args:
            base: the trained model.
            source: the authorised domain; the model's classes are its classes.
            targets: domains the model must not be reused for.
            seed: of every random draw.
            device: where to work.
            progress: told how far the work is.
            checkpoint: folder that keeps the run until the release is saved, so that the same call
                goes on after a stop. A run that ends with an error of its own is not kept.

        Raises:
            SettingsError: `base` is protected already, or a target is missing.
            DataInvalidError: source and model or target don't fit each other.
            ConstraintError: no checkpoint kept the source accuracy.
            TrainingDivergedError: the loss or the weights became non-finite.
            OutputError: `checkpoint` holds another run, is not writable or full.
        """
        given = base if isinstance(base, Release) else unprotected(base, source, seed)
        if given.card.method != "none":
            raise SettingsError(
                f"the model is protected already (by {given.card.called}): give the unprotected "
                "one, which is what an audit compares with; of a release it is in <release>.owner"
            )
        check_fit(given, source, targets)
        if self.needs_target and not targets:
            raise SettingsError(f"method '{self.name}' needs a target: name one")
        point = self._checkpoint(checkpoint, given, source, targets, seed, device)
        model = given.model.copy().to(device)
        # Whoever trained a head on a frozen encoder may have left it so; a thief will not.
        model.module.requires_grad_(True)
        work = Defence(
            model=model,
            train=in_random_order(source.owner_train, model, seed),
            validation=Resident.of(source.owner_validation, model.preprocessing, model.device),
            targets=[
                TargetData(
                    t.name,
                    in_random_order(t.train, model, seed),
                    Resident.of(t.validation, model.preprocessing, model.device),
                    t.classes,
                    t.mixed,
                    t.flips,
                )
                for t in targets
            ],
            shift=1 if model.preprocessing.size <= 16 else 2,
            flip=source.flips,
            before=given.card.source.validation,
            seed=seed,
            progress=progress,
            checkpoint=point,
        )
        try:
            return self._released(work, given, source, targets)
        except NtpruneError as error:
            # The same call would end the same way, but for a disk that has room by then.
            if point is not None and not isinstance(error, OutputError):
                discard(point.file)
            raise

    def _checkpoint(
        self,
        folder: Path | None,
        given: Release,
        source: Domain,
        targets: Sequence[Domain],
        seed: int,
        device: torch.device | str,
    ) -> Checkpoint | None:
        if folder is None:
            return None
        settings = self.settings.model_dump(mode="json")
        where = torch.device(device)
        what = identity(
            f"{self.name}, {self.preset}", settings, given.model, source, targets, seed, where
        )
        point = Checkpoint(folder, what)
        point.check()
        return point

    def _released(
        self, work: Defence, given: Release, source: Domain, targets: Sequence[Domain]
    ) -> Release:
        """Run, measure what came of it, and hold it to its promise."""
        model = work.model
        with layers_draw(stream_seed(work.seed, "method", "layers"), model.device):
            outcome = self.run(work)
        outcome.masks.apply_(model.module)
        # The last step's loss is from before it, and a thief can't learn from what is broken.
        if not all(p.isfinite().all() for p in model.module.parameters()):
            raise TrainingDivergedError(
                f"the weights became non-finite under method '{self.name}': lower its lr"
            )
        model.module.eval()
        record = measure(model, source)
        # Controls are measured whatever they lose; a defence must keep its promise.
        if isinstance(self.settings, ConstrainedSettings):
            drop = 100 * (given.card.source.validation - record.validation)
            if drop > self.settings.max_source_drop + 1e-9:
                raise ConstraintError(drop, self.settings.max_source_drop)
        card = Card(
            method=self.name,
            preset=self.preset,
            settings=self.settings.model_dump(mode="json"),
            model=model.spec,
            source=record,
            base=given.card.source,
            targets=tuple(t.name for t in targets),
            sparsity=outcome.masks.only(model.prunable()).sparsity,
            layers=outcome.masks.per_layer(),
            steps=outcome.steps,
            seed=work.seed,
            versions=versions(),
        )
        masks = outcome.masks.to("cpu")
        kept = work.checkpoint.file if work.checkpoint is not None else None
        # An unprotected model has no other one to keep from a thief.
        owner = given if self.name != "none" else None
        return Release(model.to("cpu"), masks, card, work.history, owner, kept)

    @abstractmethod
    def run(self, work: Defence) -> Outcome:
        """Change `work.model` in place and return the masks of the release."""


def measure(model: Model, source: Domain) -> SourceRecord:
    """Accuracy of `model` on the validation and the test split of its source."""
    parts = [
        accuracy(model, Resident.of(split, model.preprocessing, model.device))
        for split in (source.owner_validation, source.test)
    ]
    return SourceRecord(
        name=source.name, content_hash=source.content_hash, validation=parts[0], test=parts[1]
    )


def unprotected(model: Model, source: Domain, seed: int) -> Release:
    """`model` as a release of method `none`."""
    model = model.copy().to("cpu")
    model.module.eval()
    masks = MaskSet({n: torch.ones_like(p, dtype=torch.bool) for n, p in model.prunable().items()})
    card = Card(
        method="none",
        settings={},
        model=model.spec,
        source=measure(model, source),
        sparsity=0.0,
        layers=masks.per_layer(),
        steps=0,
        seed=seed,
        versions=versions(),
    )
    return Release(model, masks, card)


def check_fit(given: Release, source: Domain, targets: Sequence[Domain]) -> None:
    """Refuse a source that the model was not trained on, and a target that is the source."""
    classes = given.model.spec.classes
    if source.classes != classes:
        raise DataInvalidError(
            f"source '{source.name}' has classes {', '.join(source.classes)} and the model has "
            f"{', '.join(classes)}: give the source the model was trained on"
        )
    require_content(source, given.card.source.content_hash, "the model's card")
    for target in targets:
        if target.name == source.name or target.content_hash == source.content_hash:
            raise DataInvalidError(
                f"target '{target.name}' is the source itself: a model can't be kept and ruined "
                "on the same data; name another target"
            )


def in_random_order(split: Split, model: Model, seed: int) -> Resident:
    """`split` as `model` reads it, in a random order that follows `seed`.

    Some steps look at the first images only, and folders and arrays often come sorted by class.
    """
    order = torch.randperm(len(split), generator=generator(seed, "method", "order"))
    return Resident.of(split.take(order), model.preprocessing, model.device)


def steps_for(images: int, batch: int, epochs: float) -> int:
    """Optimiser steps of `epochs` passes over `images`, at least 1."""
    return max(1, math.ceil(epochs * images / batch))
