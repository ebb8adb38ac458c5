"""The deepest layers thrown away and trained anew on what the others offer."""

from __future__ import annotations

import torch

from ntprune.attacks.base import Attack
from ntprune.attacks.registry import attack
from ntprune.attacks.theft import Theft, ThreatModel
from ntprune.engine import TrainLog
from ntprune.models import last_stage


@attack
class LastStage(Attack):
    """Re-initialises the encoder's last stage and the head, keeps the rest, trains everything.

    Defences do most of their damage deep in the network, where sparsity is highest, while early
    layers transfer to any task (Yosinski et al. 2014; re-initialising layer by layer: Alabdulmohsin
    et al. 2021).
    """

    name = "last-stage"
    summary = "last stage of the encoder and head fresh, then all weights"
    threat = ThreatModel(
        weights=True,
        labels=True,
        source=False,
        mask="free",
        head="new",
        knowledge="the architecture",
    )

    def run(self, theft: Theft) -> TrainLog:
        """Fresh parameters and statistics for the last stage, then fine-tuning."""
        fresh = theft.fresh().encoder
        with torch.no_grad():
            for name in last_stage(theft.model.encoder):
                part = theft.model.encoder.get_submodule(name)
                part.load_state_dict(fresh.get_submodule(name).state_dict())
        return theft.train()
