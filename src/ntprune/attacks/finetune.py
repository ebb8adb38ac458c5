"""Full fine-tuning: every weight is trained on the thief's samples."""

from __future__ import annotations

from ntprune.attacks.base import Attack
from ntprune.attacks.registry import attack
from ntprune.attacks.theft import Theft, ThreatModel
from ntprune.engine import TrainLog


class _FineTune(Attack):
    """Train all weights; whether masked ones may grow back is the threat model's."""

    def run(self, theft: Theft) -> TrainLog:
        """Cross-entropy on the samples under a one-cycle schedule."""
        if self.threat.mask == "free":
            return theft.train()
        module = theft.model.module
        return theft.train(prepare=lambda opt: theft.masks.attach(module, opt))


@attack
class FineTune(_FineTune):
    """The thief ignores the mask and starts from the released head."""

    name = "finetune"
    summary = "all weights, mask ignored, released head kept"
    threat = ThreatModel(
        weights=True,
        labels=True,
        source=False,
        mask="free",
        head="kept",
        knowledge="the architecture",
    )


@attack
class FineTuneNewHead(_FineTune):
    """The thief ignores the mask and puts on a fresh head."""

    name = "finetune-new-head"
    summary = "all weights, mask ignored, fresh head"
    threat = ThreatModel(
        weights=True,
        labels=True,
        source=False,
        mask="free",
        head="new",
        knowledge="the architecture",
    )


@attack
class Masked(_FineTune):
    """The polite thief: pruned weights stay zero, the released head is kept."""

    name = "masked"
    summary = "all weights, pruned ones stay zero, released head kept"
    threat = ThreatModel(
        weights=True,
        labels=True,
        source=False,
        mask="kept",
        head="kept",
        knowledge="the architecture and which weights are pruned",
    )


@attack
class MaskedNewHead(_FineTune):
    """The polite thief with a fresh head."""

    name = "masked-new-head"
    summary = "all weights, pruned ones stay zero, fresh head"
    threat = ThreatModel(
        weights=True,
        labels=True,
        source=False,
        mask="kept",
        head="new",
        knowledge="the architecture and which weights are pruned",
    )
