"""Engines by name."""

from __future__ import annotations

from ntprune.errors import SettingsError, UnknownNameError
from ntprune.jobs.engine import Engine
from ntprune.jobs.inline import Inline
from ntprune.jobs.process import Process
from ntprune.jobs.ray import Ray

_ENGINES: dict[str, type[Engine]] = {engine.name: engine for engine in (Inline, Process, Ray)}


def engine_names() -> list[str]:
    """All engines."""
    return sorted(_ENGINES)


def make_engine(
    name: str, workers: int = 1, *, address: str | None = None, gpus_per_job: float = 0.0
) -> Engine:
    """Engine `name`; `address` and `gpus_per_job` are for `ray`.

    Raises:
        UnknownNameError: no such engine.
        SettingsError: `workers` below 1, or an option that the engine doesn't have.
    """
    if name not in _ENGINES:
        raise UnknownNameError("engine", name, _ENGINES)
    if name == Ray.name:
        return Ray(workers, address=address, gpus_per_job=gpus_per_job)
    if address is not None or gpus_per_job:
        raise SettingsError(
            f"address and gpus-per-job are for engine 'ray', not for '{name}': leave them out"
        )
    return _ENGINES[name](workers)
