"""Keeps the source accuracy inside its constraint while the defence pushes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass
class Controller:
    """Scales the target terms of the objective by what the source can bear.

    The strength moves in proportion to how far the drop is from the aim, so that it comes to rest
    just inside the constraint instead of swinging around it. It is not cut while the drop is on its
    way to the aim by itself, as that of a freshly pruned network is.

    Attributes:
        allowed: percentage points of source validation accuracy that may be lost.
        aim: share of `allowed` that is meant to be spent.
        grain: what one image of the split that drops are measured on is, in percentage points.
        strength: factor on the target terms, kept in [`weakest`, `strongest`].
        gain: logarithmic change of the strength for a drop that is off by `allowed`.
        last: the drop measured before (percentage points).
    """

    allowed: float
    aim: float = 0.85
    grain: float = 0.0
    strength: float = 1.0
    weakest: float = 0.05
    strongest: float = 20.0
    gain: float = 1.5
    last: float | None = None

    @property
    def within(self) -> float:
        """The drop that is aimed at (percentage points).

        Where one image is more than that and still allowed, the only drops inside the constraint
        are none and that one. Then it is halfway to the second image: at rest on the first, the
        strength would never come back from having been cut for one that was lost by chance.
        """
        share = self.aim * self.allowed
        return 1.5 * self.grain if share < self.grain <= self.allowed else share

    def update(self, drop: float) -> float:
        """Move the strength after a measured `drop` (percentage points) and return it."""
        scale = max(self.allowed, 0.1)
        off = (self.within - drop) / scale
        if off < 0 and self.last is not None:
            fallen = max(0.0, self.last - drop) / scale
            off = min(0.0, off + fallen)  # as much again until the next measurement
        self.last = drop
        factor = math.exp(self.gain * max(-1.0, min(0.5, off)))
        self.strength = max(self.weakest, min(self.strongest, self.strength * factor))
        return self.strength

    def state_dict(self) -> dict[str, float | None]:
        """What the updates so far have left."""
        return {"strength": self.strength, "last": self.last}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict` of the same constraint."""
        self.strength = state["strength"]
        self.last = state["last"]
