"""A defence that looks like one in the seller's evaluation and protects nothing."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from ntprune.attacks import make_attack
from ntprune.domains import Domain
from ntprune.engine import Resident, accuracy, stream_seed
from ntprune.release import Release

# What the seller's figure must lie below the unprotected model's, in accuracy, to convince.
MARGIN = 0.05
# Flags that name a trick; the others of docs/flags.md are about the measurement.
TRICKS = frozenset(
    {
        "mask-free-stronger",
        "normalisation-games",
        "head-only",
        "unusual-scale",
        "same-encoder",
        "plain-mask",
    }
)


@dataclass(frozen=True)
class Pitch:
    """The evaluation the fake is sold on: head and mask kept, one rate, no search.

    Attributes:
        words: what the seller says.
        samples: target images.
        steps: of the fine-tuning, whatever the samples; `None` for 30 epochs.
        lr, batch, optimiser: of the fine-tuning.
    """

    words: str
    samples: int = 256
    steps: int | None = None
    lr: float = 1e-4
    batch: int = 128
    optimiser: str = "adamw"

    def __call__(
        self, release: Release, target: Domain, samples: int | None = None, seeds: int = 2
    ) -> float:
        """Mean accuracy (0 to 1) on the target's test split over thieves `0` to `seeds - 1`.

        Args:
            release: what is sold.
            target: thieves draw from its pool.
            samples: other than the seller's count.
            seeds: thieves.
        """
        samples = samples or self.samples
        pre, device = release.model.preprocessing, torch.device("cpu")
        test = Resident.of(target.test, pre, device)
        pool = Resident.of(target.pool, pre, device)
        reached = []
        for seed in range(seeds):
            draw = torch.Generator().manual_seed(stream_seed(seed, "naive"))
            mine = torch.randperm(len(pool), generator=draw)[:samples]
            stolen = make_attack("masked")(
                release,
                pool.take(mine),
                target.classes,
                lr=self.lr,
                steps=self.steps or math.ceil(30 * samples / self.batch),
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
        pitch: the evaluation that it is sold on.
        loses: percentage points of source accuracy it may cost; 0 where the function is kept.
        flags: those of `TRICKS` that say what the trick is; every one must be raised.
        also: those that are true of it as well; none of the rest may be raised.
        share: of the unprotected model's mean gap that an audit must find, at least.
    """

    name: str
    make: Callable[[Release, Domain, Domain], Release]
    pitch: Pitch
    loses: float
    flags: frozenset[str]
    also: frozenset[str]
    share: float = 0.8
