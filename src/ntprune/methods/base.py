"""What every defence has in common. A method implements `run`; the final call owns the rest."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, final

import torch
from pydantic import ValidationError

from ntprune.domains import Domain
from ntprune.engine import (
    Progress,
    Resident,
    layers_draw,
    silent,
    stream_seed,
)
from ntprune.errors import (
    ConstraintError,
    NtpruneError,
    OutputError,
    SettingsError,
    TrainingDivergedError,
    first_fault,
)
from ntprune.methods.checkpoint import Checkpoint, identity
from ntprune.methods.defence import Defence, Outcome, TargetData, in_random_order
from ntprune.methods.measure import check_fit, measure, unprotected
from ntprune.methods.settings import ConstrainedSettings, PruningSettings, Settings
from ntprune.models import Model
from ntprune.release import DEFAULT_PRESET, Card, Release
from ntprune.release.atomic import discard
from ntprune.release.card import versions


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
            targets=[TargetData.of(target, model, seed) for target in targets],
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
