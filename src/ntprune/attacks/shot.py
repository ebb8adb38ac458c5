"""Adaptation to the target without a single label."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ntprune.attacks.base import Attack
from ntprune.attacks.registry import attack
from ntprune.attacks.theft import Theft, ThreatModel
from ntprune.domains.blocks import at_once, blocks
from ntprune.engine import Batches, Resident, TrainLog
from ntprune.models import Model


@attack
class Shot(Attack):
    """Source hypothesis transfer (Liang et al. 2020).

    The released head is frozen. The encoder learns to make predictions that are sure one by one and
    diverse as a whole, and to agree with pseudo-labels: the nearest of the class centroids of the
    features, found anew several times on the way.
    """

    name = "shot"
    summary = "no labels: encoder fitted to the frozen released head"
    threat = ThreatModel(
        weights=True,
        labels=False,
        source=False,
        mask="free",
        head="kept",
        knowledge="the architecture",
    )
    PSEUDO = 0.3
    ROUNDS = 5

    def run(self, theft: Theft) -> TrainLog:
        """Information maximisation plus cross-entropy with the pseudo-labels."""
        model = theft.model
        images = theft.samples.images
        # The place of an image takes that of its label, which is never read.
        places = Resident(images, torch.arange(len(images), device=images.device))
        every = max(1, theft.steps // self.ROUNDS)
        pseudo = pseudo_labels(model, images)

        def objective(batch: Tensor, index: Tensor) -> Tensor:
            logits = model(batch)
            wanted = F.cross_entropy(logits, pseudo[index])
            return _uncertainty(logits) + self.PSEUDO * wanted

        return theft.train(
            batches=Batches(places, theft.batches.size, theft.draw),
            parameters=model.encoder.parameters(),
            objective=objective,
            every=every,
            on_step=lambda step: pseudo.copy_(pseudo_labels(model, images)),
        )


def _uncertainty(logits: Tensor) -> Tensor:
    """Mean entropy of the predictions minus the entropy of their mean (nats)."""
    logs = logits.log_softmax(1)
    shares = logs.exp()
    mean = shares.mean(0)
    return (mean * mean.clamp_min(1e-8).log()).sum() - (shares * logs).sum(1).mean()


@torch.no_grad()
def pseudo_labels(model: Model, images: Tensor) -> Tensor:
    """The class (int64, N) whose centroid is nearest by cosine.

    Centroids are weighted by the predictions first, by the labels so found then. Runs in eval mode.

    Args:
        model: left in eval mode.
        images: resized uint8, N×C×H×W.
    """
    model.module.eval()
    logits, pooled = [], []
    for part in blocks(images, at_once(256, images.shape[-1])):
        maps = model.encode(part)
        logits.append(model.head(maps))
        pooled.append(maps.flatten(2).mean(2) if maps.dim() > 2 else maps)
    shares, features = torch.cat(logits).softmax(1), torch.cat(pooled)
    # A constant entry keeps images apart whose features are all zero.
    features = F.normalize(F.pad(features, (0, 1), value=1.0), dim=1)
    found = (features @ F.normalize(shares.T @ features, dim=1).T).argmax(1)
    # A class that no image was given keeps out of the second round.
    members = F.one_hot(found, shares.shape[1]).to(features.dtype)
    likeness = features @ F.normalize(members.T @ features, dim=1).T
    return likeness.masked_fill(members.sum(0) == 0, -2.0).argmax(1)
