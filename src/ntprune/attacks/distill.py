"""A fresh network taught by labels and by the features of the release."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ntprune.attacks.base import Attack
from ntprune.attacks.registry import attack
from ntprune.attacks.theft import Theft, ThreatModel
from ntprune.engine import TrainLog


@attack
class Distill(Attack):
    """A student of the same architecture matches the direction of the frozen release's features.

    Hints (Romero et al. 2015) carry what the release knows into weights that no defence has
    touched. The features are compared by their cosine over channels at each place, so that scales
    hidden in the release don't matter.
    """

    name = "distill"
    summary = "a fresh network taught by the labels and the released features"
    threat = ThreatModel(
        weights=True,
        labels=True,
        source=False,
        mask="none",
        head="none",
        knowledge="the architecture and where the encoder ends",
    )

    def run(self, theft: Theft) -> TrainLog:
        """Cross-entropy plus one minus the mean cosine of the features."""
        student, teacher = theft.model, theft.released

        def objective(images: Tensor, labels: Tensor) -> Tensor:
            with torch.no_grad():
                hint = teacher.encode(images)
            features = student.encode(images)
            distance = 1 - F.cosine_similarity(features, hint, dim=1, eps=1e-4).mean()
            return F.cross_entropy(student.head(features), labels) + distance

        return theft.train(objective=objective)
