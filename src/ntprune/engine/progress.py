"""How long work reports that it goes on, without knowing who listens."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called as work proceeds."""

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        """`done` of `total` units of `stage` are finished; `note` is the latest figure."""


def silent(stage: str, done: int, total: int, note: str = "") -> None:
    """Listens to nothing."""
