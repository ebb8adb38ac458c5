"""A cheap stand-in for the audit, on the defender's own target data."""

from __future__ import annotations

import math

import torch

from ntprune.domains.blocks import at_once
from ntprune.engine import (
    Batches,
    Resident,
    generator,
    layers_draw,
    outputs,
    rebase_statistics,
    rebased_layers,
    stream_seed,
    train,
)
from ntprune.errors import TrainingDivergedError
from ntprune.methods.defence import TargetData
from ntprune.metrics import calibrated_cross_entropy
from ntprune.models import Model

# With 64 images of mixed styles even an unprotected model is guessed with, and checkpoints tie; so
# it is with fewer than a handful of each class.
SAMPLES, OF_MIXED, OF_CLASS = 64, 512, 6
# Twice the log-likelihood that a temperature gains by chance: less in 95 of 100 thieves who know
# nothing (χ² of one degree of freedom), so that checks which say nothing tie.
CHANCE = 3.84
STEPS, BATCH, LR = 80, 64, 3e-3


def quick_thief(
    model: Model, target: TargetData, seed: int, *, steps: int = STEPS, batch: int = BATCH
) -> float:
    """How far short mask-free fine-tunings get: the lower, the stronger the protection.

    Copies with a new head and, where the classes are the source's, with the released head are
    fine-tuned on 64 images (512 of mixed styles, and never fewer than 6 a class) of the defender's
    target training split, as they are and with BatchNorm statistics rebased to these images
    (`ntprune.engine.rebase_statistics`; of large ones to as many as fit in at once). Of each head
    the smaller cross-entropy on the target's validation split counts, at the temperature that suits
    it best: a thief who has learnt 64 images by heart is sure of whatever he says, and would
    otherwise pass for one who knows nothing. The mean over the heads is returned with the sign
    turned, so that a larger figure means more head start. The best of all would say what one lucky
    thief has: checks of one run lie closer than
    that (docs/experiments/settings.md, rounds 17 and 21).

    Args:
        model: with BatchNorm statistics of the source.
        target: the defender's slice.
        seed: of samples, heads and order.
        steps: optimiser steps of each copy.
        batch: images a step.

    Returns:
        Negative cross-entropy in nats, from that of guessing evenly to 0.
    """
    samples = max(OF_MIXED if target.mixed else SAMPLES, OF_CLASS * len(target.classes))
    draw = generator(seed, "quick thief")
    own = target.train.take(torch.randperm(len(target.train), generator=draw)[:samples])
    heads = [model.new_head(target.classes, seed)]
    if target.classes == model.spec.classes:
        heads.append(model.copy())
    guess = math.log(len(target.classes))
    reached = []
    for thief in heads:
        thief.module.requires_grad_(True)  # what the owner has frozen, a thief has not
        thieves = [thief]
        if rebased_layers(thief):
            thieves.append(thief.copy())
            rebase_statistics(thieves[1], own.images[: at_once(samples, own.images.shape[-1])])
        losses = [_trained(each, own, target, seed, steps, batch) for each in thieves]
        reached.append(_told_from(guess, min(losses), len(target.validation)))
    return -sum(reached) / len(reached)


def _told_from(guess: float, loss: float, images: int) -> float:
    """`loss` (nats), or that of guessing where so many images don't tell them apart."""
    return loss if 2 * images * (guess - loss) > CHANCE else guess


def _trained(
    thief: Model, own: Resident, target: TargetData, seed: int, steps: int, batch: int
) -> float:
    """What `thief` trained on `own` has on unseen images (nats), infinite if it diverged."""
    batches = Batches(own, batch, generator(seed, "quick thief", "order"))
    try:
        with layers_draw(stream_seed(seed, "quick thief", "layers"), thief.device):
            train(thief, batches, steps, lr=LR)
    except TrainingDivergedError:
        return math.inf
    logits = outputs(thief, target.validation).cpu()
    return calibrated_cross_entropy(logits, target.validation.labels.cpu())
