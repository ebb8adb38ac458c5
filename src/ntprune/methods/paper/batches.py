"""Passes over one or several sets of images, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ntprune.engine import Resident

Batch = tuple[Tensor, Tensor]


def one_pass(
    domains: Sequence[Resident], size: int, draw: torch.Generator
) -> Iterator[tuple[Batch, ...]]:
    """Batches of every domain together, each in a new random order, as long as the shortest lasts.

    All batches of a step have the same number of images. A last image left alone is dropped:
    BatchNorm needs two to train on. Images are not augmented.

    Args:
        domains: at least one set, of two images or more.
        size: images of each domain a step, at least 2.
        draw: CPU generator of the orders.

    Yields:
        For each domain images (uint8, B×C×H×W) and labels (int64, B).
    """
    shortest = min(len(data) for data in domains)
    orders = [torch.randperm(len(data), generator=draw)[:shortest] for data in domains]
    for indices in zip(*(order.split(size) for order in orders), strict=True):
        if len(indices[0]) < 2:
            return
        parts = (data.take(index) for data, index in zip(domains, indices, strict=True))
        yield tuple((part.images, part.labels) for part in parts)
