"""The verb `protect`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ntprune.domains import Domain, neighbours, require_domain
from ntprune.engine import Progress, resolve_device, silent
from ntprune.errors import SettingsError
from ntprune.methods.base import Method
from ntprune.methods.registry import make_method
from ntprune.models import Model
from ntprune.release import DEFAULT_PRESET, Release


def protect(
    model: Release | Model,
    source: Domain,
    target: Domain | Sequence[Domain] | None,
    *,
    method: str = "ntp",
    preset: str = DEFAULT_PRESET,
    seed: int = 0,
    device: str = "auto",
    progress: Progress = silent,
    checkpoint: str | Path | None = None,
    **settings: Any,
) -> Release:
    """Protect `model` so that it keeps working on `source` and gives no head start on `target`.

    Args:
        model: what `pretrain`, `load` or `wrap` returned; not changed.
        source: the domain the model is meant for.
        target: the domain, or domains, it must not be reused for; None where none is known. Then a
            method that needs a target gets the source's synthetic neighbours.
        method: name in the method registry.
        preset: `default`, or another of the method's: `paper` is `ntp` as its authors run it.
        seed: of every random draw.
        device: `auto`, `cpu`, `cuda`, ...
        progress: told how far the work is.
        checkpoint: folder that keeps the run until the release is saved: the same call goes on
            where a stopped one was, and on a CPU ends with the same bytes.
        settings: fields of the method's settings, for instance `sparsity=0.98`,
            `max_source_drop=1.0`.

    Raises:
        UnknownNameError: no such method, or it has no such preset.
        SettingsError: an unknown setting or one outside its range, a model that is protected
            already, or no model or domain at all.
        DataInvalidError: a domain is unsound, or model, source and target don't fit each other.
        ConstraintError: the source accuracy could not be kept.
        TrainingDivergedError: the loss or the weights became non-finite.
        OutputError: `checkpoint` holds another run, is not writable or full.
    """
    if not isinstance(model, Release | Model):
        raise SettingsError(
            f"model: found {model!r}, expected what pretrain, load or wrap returned, for instance "
            "ntprune.load('base')"
        )
    targets = [] if target is None else _listed(target)
    require_domain(source, "source")
    for each in targets:
        require_domain(each, "target")
    defence = make_method(method, preset=preset, **settings)
    return defence(
        model,
        source,
        _unseen(defence, model, source, seed) if target is None else targets,
        seed=seed,
        device=resolve_device(device),
        progress=progress,
        checkpoint=None if checkpoint is None else Path(checkpoint),
    )


def _listed(target: Domain | Sequence[Domain]) -> list[Domain]:
    return [target] if isinstance(target, Domain | str) else list(target)


def _unseen(defence: Method, model: Release | Model, source: Domain, seed: int) -> list[Domain]:
    if not defence.needs_target:
        return []
    network = model.model if isinstance(model, Release) else model
    return [neighbours(source, size=network.preprocessing.size, seed=seed)]
