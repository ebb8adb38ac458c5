"""Weights pulled half-way back to a fresh initialisation before fine-tuning."""

from __future__ import annotations

import torch

from ntprune.attacks.base import Attack
from ntprune.attacks.registry import attack
from ntprune.attacks.theft import Theft, ThreatModel
from ntprune.engine import TrainLog


@attack
class ShrinkPerturb(Attack):
    """Shrink and perturb (Ash and Adams 2020).

    Every parameter becomes half of itself plus half of a freshly initialised network's, which keeps
    what was learnt as a direction and gives back the plasticity of a fresh start; saturated and
    pruned units come alive. Pruned weights regrow, as fresh noise is added to them too.
    """

    name = "shrink-perturb"
    summary = "all weights halved and half a fresh initialisation added, then trained"
    threat = ThreatModel(
        weights=True,
        labels=True,
        source=False,
        mask="free",
        head="any",
        knowledge="the architecture and how it is initialised",
    )
    FRESH = 0.5

    def run(self, theft: Theft) -> TrainLog:
        """Mix, then fine-tune."""
        fresh = dict(theft.fresh().module.named_parameters())
        with torch.no_grad():
            for name, parameter in theft.model.module.named_parameters():
                parameter.lerp_(fresh[name], self.FRESH)
        return theft.train()
