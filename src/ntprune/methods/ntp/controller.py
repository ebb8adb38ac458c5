"""Keeps the source accuracy inside its constraint while the defence pushes."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass
class Controller:
    """Scales the target terms of the objective by what the source can bear.

    The strength moves in proportion to how far the measured drop is from the aim, so that it comes
    to rest just inside the constraint instead of swinging around it.

    Attributes:
        allowed: percentage points of source validation accuracy that may be lost.
        aim: share of `allowed` that is meant to be spent.
        strength: factor on the target terms, kept in [`weakest`, `strongest`].
        gain: logarithmic change of the strength for a drop that is off by `allowed`.
    """

    allowed: float
    aim: float = 0.85
    strength: float = 1.0
    weakest: float = 0.05
    strongest: float = 20.0
    gain: float = 0.6

    def update(self, drop: float) -> float:
        """Move the strength after a measured `drop` (percentage points) and return it."""
        scale = max(self.allowed, 0.1)
        off = (self.aim * self.allowed - drop) / scale
        factor = math.exp(self.gain * max(-1.0, min(0.5, off)))
        self.strength = max(self.weakest, min(self.strongest, self.strength * factor))
        return self.strength
