"""Full fine-tuning: every weight is trained on the thief's samples."""

from __future__ import annotations

from ntprune.attacks.base import Attack, Theft, ThreatModel
from ntprune.attacks.registry import attack
from ntprune.engine import TrainLog, train


class _FineTune(Attack):
    """Train all weights; whether masked ones may grow back is the threat model's."""

    def run(self, theft: Theft) -> TrainLog:
        """Cross-entropy on the samples under a one-cycle schedule."""
        module = theft.model.module
        kept = self.threat.mask == "kept"
        return train(
            theft.model,
            theft.batches,
            theft.steps,
            lr=theft.lr,
            weight_decay=theft.weight_decay,
            optimiser=theft.optimiser,
            prepare=(lambda opt: theft.masks.attach(module, opt)) if kept else None,
        )


@attack
class FineTune(_FineTune):
    """The thief ignores the mask and starts from the released head."""

    name = "finetune"
    summary = "all weights, mask ignored, released head kept"
    threat = ThreatModel(weights=True, labels=True, mask="free", head="kept")


@attack
class FineTuneNewHead(_FineTune):
    """The thief ignores the mask and puts on a fresh head."""

    name = "finetune-new-head"
    summary = "all weights, mask ignored, fresh head"
    threat = ThreatModel(weights=True, labels=True, mask="free", head="new")


@attack
class Masked(_FineTune):
    """The polite thief: pruned weights stay zero, the released head is kept."""

    name = "masked"
    summary = "all weights, pruned ones stay zero, released head kept"
    threat = ThreatModel(weights=True, labels=True, mask="kept", head="kept")


@attack
class MaskedNewHead(_FineTune):
    """The polite thief with a fresh head."""

    name = "masked-new-head"
    summary = "all weights, pruned ones stay zero, fresh head"
    threat = ThreatModel(weights=True, labels=True, mask="kept", head="new")
