"""The thief who steals nothing: same architecture, fresh weights."""

from __future__ import annotations

from ntprune.attacks.base import Attack
from ntprune.attacks.registry import attack
from ntprune.attacks.theft import Theft, ThreatModel
from ntprune.engine import TrainLog


@attack
class Scratch(Attack):
    """Trains the release's architecture from random weights: what a release must not beat."""

    name = "scratch"
    summary = "the same architecture from random weights: the yardstick"
    threat = ThreatModel(
        weights=False,
        labels=True,
        source=False,
        mask="none",
        head="none",
        knowledge="the architecture",
    )

    def run(self, theft: Theft) -> TrainLog:
        """Cross-entropy on the samples under a one-cycle schedule."""
        return theft.train()
