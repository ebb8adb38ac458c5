"""A fresh head on the frozen encoder, alone or before fine-tuning."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ntprune.attacks.base import Attack
from ntprune.attacks.registry import attack
from ntprune.attacks.theft import Theft, ThreatModel
from ntprune.engine import Batches, Resident, TrainLog, feature_maps


@attack
class LinearProbe(Attack):
    """What the frozen features tell about the target (Alain and Bengio 2017).

    The images are encoded in eval mode: BatchNorm keeps the release's statistics.
    """

    name = "linear-probe"
    summary = "encoder and its statistics frozen, fresh head"
    threat = ThreatModel(
        weights=True,
        labels=True,
        source=False,
        mask="kept",
        head="new",
        knowledge="where the encoder ends",
    )
    holds_statistics = True

    def run(self, theft: Theft) -> TrainLog:
        """Cross-entropy of the head on stored features."""
        return probe(theft, theft.steps)


@attack
class ProbeFineTune(Attack):
    """A head first, then all weights (Kumar et al. 2022).

    A random head sends random gradients into the encoder and distorts the features before they are
    of use; a fitted one does not.
    """

    name = "probe-finetune"
    summary = "fresh head on the frozen encoder first, then all weights"
    threat = ThreatModel(
        weights=True,
        labels=True,
        source=False,
        mask="free",
        head="new",
        knowledge="the architecture",
    )
    SHARE = 0.25

    def run(self, theft: Theft) -> TrainLog:
        """A quarter of the steps for the head, the rest for everything."""
        first, last = theft.split(self.SHARE)
        if not first:
            return theft.train(last)
        return probe(theft, first).then(theft.train(last))


def probe(theft: Theft, steps: int) -> TrainLog:
    """Train the head on the features that the encoder has in eval mode; nothing else changes."""
    model, head, data = theft.model, theft.model.head, theft.samples
    model.module.eval()
    # Encoded once where all feature maps can be kept, anew in every step where they can't.
    maps = feature_maps(model, data.images)
    kept = len(maps) == len(data)
    if kept:
        data = Resident(maps, data.labels)
    del maps

    def objective(batch: Tensor, labels: Tensor) -> Tensor:
        if not kept:
            with torch.no_grad():
                batch = model.encode(batch)
        return F.cross_entropy(head(batch), labels)

    return theft.train(
        steps,
        batches=Batches(data, theft.batches.size, theft.draw),
        parameters=head.parameters(),
        objective=objective,
        mode=head.train,
    )
