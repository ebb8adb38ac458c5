"""Engines by name."""

from __future__ import annotations

from ntprune.errors import UnknownNameError
from ntprune.jobs.engine import Engine
from ntprune.jobs.inline import Inline
from ntprune.jobs.process import Process

_ENGINES: dict[str, type[Engine]] = {engine.name: engine for engine in (Inline, Process)}


def engine_names() -> list[str]:
    """All engines."""
    return sorted(_ENGINES)


def make_engine(name: str, workers: int = 1) -> Engine:
    """Engine `name`.

    Raises:
        UnknownNameError: no such engine.
        SettingsError: `workers` below 1.
    """
    if name not in _ENGINES:
        raise UnknownNameError("engine", name, _ENGINES)
    return _ENGINES[name](workers)
