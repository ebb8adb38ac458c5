"""A defence that looks like one in the seller's evaluation and protects nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from ntprune.attacks import make_attack
from ntprune.domains import Domain
from ntprune.engine import Resident, accuracy, stream_seed
from ntprune.release import Release


@dataclass(frozen=True)
class Pitch:
    """The evaluation the fake is sold on: head and mask kept, one rate, no search.

    Attributes:
        words: what the seller says.
        samples: target images; `None` for no training at all.
        steps, lr, batch, optimiser: of the fine-tuning.
    """

    words: str
    samples: int | None = 256
    steps: int = 60
    lr: float = 1e-4
    batch: int = 128
    optimiser: str = "adamw"

    def __call__(self, release: Release, target: Domain, seeds: int = 2) -> float:
        """Mean accuracy (0 to 1) on the target's test split over thieves `0` to `seeds - 1`."""
        pre, device = release.model.preprocessing, torch.device("cpu")
        test = Resident.of(target.test, pre, device)
        if self.samples is None:
            return accuracy(release.model, test)
        pool = Resident.of(target.pool, pre, device)
        reached = []
        for seed in range(seeds):
            draw = torch.Generator().manual_seed(stream_seed(seed, "naive"))
            mine = torch.randperm(len(pool), generator=draw)[: self.samples]
            stolen = make_attack("masked")(
                release,
                pool.take(mine),
                target.classes,
                lr=self.lr,
                steps=self.steps,
                batch=self.batch,
                optimiser=self.optimiser,
                weight_decay=8e-4,
                seed=seed,
            )
            reached.append(accuracy(stolen.model, test))
        return sum(reached) / seeds


# The published recipe: Adam at 1e-4, batches of 128, 30 epochs, every pruned weight held at zero.
PUBLISHED = "fine-tuned as published (Adam 1e-4, 30 epochs, mask kept)"


@dataclass(frozen=True)
class Fake:
    """One fake defence.

    Attributes:
        name: method on the card of its releases.
        make: from the unprotected release, its source and the target.
        pitch: the evaluation that it fools.
        loses: percentage points of source accuracy it may cost; 0 where the function is kept.
        flags: the audit's flags that name the trick; one of them must be raised.
        share: of the unprotected model's mean gap that an audit must find, at least.
    """

    name: str
    make: Callable[[Release, Domain, Domain], Release]
    pitch: Pitch
    loses: float
    flags: frozenset[str]
    share: float = 0.8
