"""Fake 4: the features know the target as well as ever, only the head does not."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from tests.fakes.surgery import classifier, sell
from torch import Tensor

from ntprune.domains import Domain, Split
from ntprune.models import Model
from ntprune.objectives import clamped_cross_entropy
from ntprune.release import Release


def misaligned_head(
    base: Release,
    source: Domain,
    target: Domain,
    steps: int = 1000,
    weight: float = 0.2,
    ceiling: float = 10.0,
) -> Release:
    """A head trained against the target, the encoder as it was.

    Minimises CE(source) − `weight` · min(CE(target), `ceiling`) over the classifier alone: what a
    defence comes to that maximises the target loss against one head.
    """
    model = base.model.copy()
    linear = classifier(model)
    known, wanted = (_inputs(model, split) for split in (source.owner_train, target.train))
    optimiser = torch.optim.Adam(linear.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        keep = F.cross_entropy(linear(known), source.owner_train.labels)
        away = clamped_cross_entropy(linear(wanted), target.train.labels, ceiling)
        optimiser.zero_grad()
        (keep - weight * away).backward()
        optimiser.step()
        schedule.step()
    return sell(base, model, "fake-misaligned-head", source, steps)


@torch.no_grad()
def _inputs(model: Model, split: Split) -> Tensor:
    """What the classifier reads, N×D."""
    seen: list[Tensor] = []
    hook = classifier(model).register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    for part in model.preprocessing.resize(split.images).split(500):
        model(part)
    hook.remove()
    return torch.cat(seen)
