"""The thief who steals nothing: same architecture, fresh weights."""

from __future__ import annotations

from ntprune.attacks.base import Attack, Theft, ThreatModel
from ntprune.attacks.registry import attack
from ntprune.engine import TrainLog, train
from ntprune.models import Model
from ntprune.release import Release


@attack
class Scratch(Attack):
    """Trains the release's architecture from random weights: what a release must not beat."""

    name = "scratch"
    summary = "the same architecture from random weights: the yardstick"
    threat = ThreatModel(weights=False, labels=True, mask="none", head="none")

    def run(self, theft: Theft) -> TrainLog:
        """Cross-entropy on the samples under a one-cycle schedule."""
        return train(
            theft.model,
            theft.batches,
            theft.steps,
            lr=theft.lr,
            weight_decay=theft.weight_decay,
            optimiser=theft.optimiser,
        )

    def _start(self, release: Release, classes: tuple[str, ...], seed: int) -> Model:
        return Model.fresh(release.model.spec.model_copy(update={"classes": classes}), seed)
