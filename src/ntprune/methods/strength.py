"""A cheap stand-in for the audit, on the defender's own target data."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from ntprune.engine import Batches, Resident, evaluate, generator, train
from ntprune.methods.base import TargetData
from ntprune.models import Model


def quick_thief(
    model: Model, target: TargetData, seed: int, *, samples: int = 64, steps: int = 40
) -> float:
    """How far a short mask-free fine-tuning gets: the lower, the stronger the protection.

    A copy with a new head is fine-tuned on `samples` images of the defender's target training
    split; its mean cross-entropy on the target's validation split is returned with the sign turned,
    so that a larger figure means more head start.

    Returns:
        Negative cross-entropy in nats, ≤ 0, floored at that of guessing evenly.
    """
    thief = model.new_head(target.classes, seed)
    draw = generator(seed, "quick thief")
    order = torch.randperm(len(target.train), generator=draw)[:samples]
    batches = Batches(target.train.take(order), 64, draw)
    train(thief, batches, steps, lr=3e-3, loss=F.cross_entropy)
    _, loss = evaluate(thief, Resident(target.validation.images, target.validation.labels))
    guessing = float(torch.log(torch.tensor(float(len(target.classes)))))
    return -min(loss, guessing)
