"""Keeps the source accuracy inside its constraint while the defence pushes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Controller:
    """Scales the target terms of the objective by what the source can bear.

    Attributes:
        allowed: percentage points of source validation accuracy that may be lost.
        strength: factor on the target terms, kept in [`weakest`, `strongest`].
        margin: share of `allowed` above which the strength falls and below half of which it rises.
    """

    allowed: float
    strength: float = 1.0
    weakest: float = 0.02
    strongest: float = 8.0
    margin: float = 0.8
    up: float = 1.25
    down: float = 0.6

    def update(self, drop: float) -> float:
        """Move the strength after a measured `drop` (percentage points) and return it."""
        if drop > self.margin * self.allowed:
            self.strength = max(self.weakest, self.strength * self.down)
        elif drop < 0.5 * self.margin * self.allowed:
            self.strength = min(self.strongest, self.strength * self.up)
        return self.strength
