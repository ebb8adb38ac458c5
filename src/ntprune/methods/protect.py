"""The verb `protect`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ntprune.domains import Domain
from ntprune.engine import Progress, resolve_device, silent
from ntprune.methods.registry import make_method
from ntprune.models import Model
from ntprune.release import DEFAULT_PRESET, Release


def protect(
    model: Release | Model,
    source: Domain,
    target: Domain | Sequence[Domain],
    *,
    method: str = "ntp",
    preset: str = DEFAULT_PRESET,
    seed: int = 0,
    device: str = "auto",
    progress: Progress = silent,
    **settings: Any,
) -> Release:
    """Protect `model` so that it keeps working on `source` and gives no head start on `target`.

    Args:
        model: what `pretrain`, `load` or `wrap` returned; not changed.
        source: the domain the model is meant for.
        target: the domain, or domains, it must not be reused for.
        method: name in the method registry.
        preset: `default`, or another of the method's: `paper` is `ntp` as its authors run it.
        seed: of every random draw.
        device: `auto`, `cpu`, `cuda`, ...
        progress: told how far the work is.
        settings: fields of the method's settings, for instance `sparsity=0.98`,
            `max_source_drop=1.0`.

    Raises:
        UnknownNameError: no such method, or it has no such preset.
        SettingsError: an unknown setting or one outside its range.
        DataInvalidError: model, source and target don't fit each other.
        ConstraintError: the source accuracy could not be kept.
    """
    targets = [target] if isinstance(target, Domain) else list(target)
    return make_method(method, preset=preset, **settings)(
        model, source, targets, seed=seed, device=resolve_device(device), progress=progress
    )
