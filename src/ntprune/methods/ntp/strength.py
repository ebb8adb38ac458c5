"""A cheap stand-in for the audit, on the defender's own target data."""

from __future__ import annotations

import math

import torch

from ntprune.domains.blocks import at_once
from ntprune.engine import Batches, evaluate, generator, rebase_statistics, train
from ntprune.errors import TrainingDivergedError
from ntprune.methods.base import TargetData
from ntprune.models import Model

# With 64 images of mixed styles even an unprotected model is guessed with, and checkpoints tie.
SAMPLES, OF_MIXED = 64, 512


def quick_thief(model: Model, target: TargetData, seed: int, *, steps: int = 40) -> float:
    """How far short mask-free fine-tunings get: the lower, the stronger the protection.

    Copies with a new head and, where the classes are the source's, with the released head are
    fine-tuned on 64 images (512 of mixed styles) of the defender's target training split, as they
    are and with BatchNorm statistics rebased to these images
    (`ntprune.engine.rebase_statistics`); the smallest mean cross-entropy on the target's
    validation split is returned with the sign turned, so that a larger figure means more head
    start.

    Args:
        model: with BatchNorm statistics of the source.

    Returns:
        Negative cross-entropy in nats, ≤ 0, floored at that of guessing evenly.
    """
    samples = OF_MIXED if target.mixed else SAMPLES
    thieves = [model.new_head(target.classes, seed)]
    if target.classes == model.spec.classes:
        thieves.append(model.copy())
    for thief in thieves:
        thief.module.requires_grad_(True)  # what the owner has frozen, a thief has not
    rebased = [thief.copy() for thief in thieves]
    draw = generator(seed, "quick thief")
    order = torch.randperm(len(target.train), generator=draw)[:samples]
    own = target.train.take(order)
    for thief in rebased:
        rebase_statistics(thief, own.images[: at_once(samples, own.images.shape[-1])])
    reached = []
    for thief in thieves + rebased:
        batches = Batches(own, 64, generator(seed, "quick thief", "order"))
        try:
            train(thief, batches, steps, lr=3e-3)
        except TrainingDivergedError:
            continue  # has learnt nothing
        loss = evaluate(thief, target.validation)[1]
        if math.isfinite(loss):
            reached.append(loss)
    return -min([*reached, math.log(len(target.classes))])
