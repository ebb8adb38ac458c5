"""Fine-tuning on source and target at once."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from ntprune.attacks.base import Attack
from ntprune.attacks.registry import attack
from ntprune.attacks.theft import Theft, ThreatModel
from ntprune.engine import Batches, TrainLog


@attack
class Mix(Attack):
    """Half of every batch is source, half target.

    Source labels hold on to what the release knows while a few target labels turn it. Where the
    target's classes are the release's, one head serves both; elsewhere the released head serves the
    source, is trained along and thrown away. Each domain is normalised by its own batches, and
    BatchNorm statistics are those of the target in the end, because only the target counts.
    """

    name = "mix"
    summary = "batches of source and target in equal parts, all weights"
    threat = ThreatModel(
        weights=True,
        labels=True,
        source=True,
        mask="free",
        head="any",
        knowledge="the architecture and labelled source images",
    )

    def run(self, theft: Theft) -> TrainLog:
        """The mean of both cross-entropies."""
        assert theft.source is not None
        model, other = theft.model, theft.source_head
        half = max(2, (theft.batches.size + 1) // 2)  # BatchNorm needs two to train on
        mine = Batches(theft.samples, half, theft.draw)
        owners = Batches(theft.source, half, theft.draw)

        def objective(images: Tensor, labels: Tensor) -> Tensor:
            pictures, names = owners.next()
            known = F.cross_entropy(other(model.encode(pictures)), names)
            return (known + F.cross_entropy(model(images), labels)) / 2

        parameters = [*model.module.parameters()]
        if other is not model.head:
            parameters += other.parameters()
        return theft.train(batches=mine, parameters=parameters, objective=objective)
