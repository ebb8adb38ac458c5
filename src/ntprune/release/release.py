"""A model with its masks and its card."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ntprune.models import Model
from ntprune.release.atomic import discard
from ntprune.release.card import Card
from ntprune.sparsity import MaskSet


@dataclass
class Release:
    """What a method returns, in memory.

    Attributes:
        model: the released weights.
        masks: over the prunable weights, and over any other of the encoder that was pruned.
        card: what is claimed of them.
        history: one record a measurement during training, for the report.
        base: the unprotected model, which stays with the owner; `None` for a loaded release.
        checkpoint: the file that keeps the run which made it, if any, until the release is saved.
    """

    model: Model
    masks: MaskSet
    card: Card
    history: list[dict[str, Any]] = field(default_factory=list)
    base: Release | None = None
    checkpoint: Path | None = None

    def save(self, path: str | Path) -> Path:
        """Write the release to the folder `path`; see `ntprune.release.save`."""
        from ntprune.release.files import save

        saved = save(self, path)
        if self.checkpoint is not None:
            discard(self.checkpoint)
        return saved
