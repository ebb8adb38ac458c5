"""Which images a thief has."""

from __future__ import annotations

import torch
from torch import Tensor

from ntprune.engine import generator

SOURCE_IMAGES = 1000


def subset(labels: Tensor, n: int, seed: int) -> Tensor:
    """Indices (int64, `n`) of the samples of thief `seed`, in a fixed order.

    Samples are dealt class by class in rounds, the order of classes drawn anew each round, so that
    every prefix is as balanced as the pool allows and subsets of one seed are nested. A budget
    below the number of classes holds one image of each of `n` classes.

    Args:
        labels: of the pool, int64, N.
        n: from 1 to N.
        seed: of the thief.
    """
    draw = generator(seed, "subset")
    shuffled = torch.randperm(len(labels), generator=draw)
    tie = torch.rand(len(labels), generator=draw, dtype=torch.float64)
    # The round in which a sample is dealt is its rank within its class.
    by_class = labels[shuffled].argsort(stable=True)
    counts = torch.bincount(labels)
    starts = torch.repeat_interleave(counts.cumsum(0) - counts, counts)
    rounds = torch.empty(len(labels), dtype=torch.float64)
    rounds[by_class] = (torch.arange(len(labels)) - starts).double()
    return shuffled[(rounds + tie).argsort(stable=True)][:n]


def source_subset(labels: Tensor, seed: int) -> Tensor:
    """The same of the source's pool, for an attack that needs source images: 1,000, or all."""
    return subset(labels, min(SOURCE_IMAGES, len(labels)), seed)


def held_out(n: int, share: float) -> int:
    """How many of `n` samples the thief holds out while it searches: at least 1, never all."""
    return min(n - 1, max(1, round(share * n)))


def hold_out(labels: Tensor, share: float) -> Tensor:
    """Which of a thief's samples it holds out while it searches (bool, N), `held_out` of them.

    The first ones, which `subset` has dealt from every class alike. But of a class with fewer
    samples than the others no larger share is held out, or nothing of it would be left to train on;
    and the last sample of a class is held out only where there are too few others, which takes
    fewer than 1.25 samples a class with a fifth held out.

    Args:
        labels: int64, N, in the order of the subset.
        share: in (0, 1).
    """
    counts = torch.bincount(labels)
    starts = torch.repeat_interleave(counts.cumsum(0) - counts, counts)
    rank = torch.empty_like(labels)
    rank[labels.argsort(stable=True)] = torch.arange(len(labels), device=labels.device) - starts
    most = torch.minimum((share * counts).floor().long() + 1, counts - 1)
    held = torch.zeros_like(labels, dtype=torch.bool)
    held[(rank >= most[labels]).long().argsort(stable=True)[: held_out(len(labels), share)]] = True
    return held
