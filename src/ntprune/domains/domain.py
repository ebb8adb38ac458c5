"""What a labelled image set is: four disjoint splits, class names and a content hash."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Split:
    """Images and labels of one split.

    Attributes:
        images: uint8, N×C×H×W, C being 1 (grey) or 3 (RGB), values 0 to 255.
        labels: int64, N, values 0 to `len(classes) - 1`.
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return int(self.labels.shape[0])

    def take(self, index: Tensor) -> Split:
        """The rows named by `index` (int64), in its order."""
        return Split(self.images[index], self.labels[index])

    def join(self, other: Split) -> Split:
        """These rows, then those of `other`."""
        return Split(torch.cat((self.images, other.images)), torch.cat((self.labels, other.labels)))


@dataclass(frozen=True, eq=False)
class Domain:
    """A labelled image set.

    The four splits share no image. `train` and `validation` are the defender's slice of a target;
    `pool` is what a thief may draw its samples from; `test` is read once per audited point. Of a
    source, the owner holds everything but `test`: `owner_train` and `owner_validation` deal the
    pool out to the other two.

    Attributes:
        name: what the registry calls it, for instance `usps` or `npz:cifar.npz[0,1,2]`.
        classes: class names, in label order.
        flips: whether a mirrored image keeps its meaning (true for objects, false for digits).
        mixed: whether every image has a style of its own, so that a few of them show little of all.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    validation: Split
    pool: Split
    test: Split
    flips: bool = field(default=False, kw_only=True)
    mixed: bool = field(default=False, kw_only=True)

    @property
    def channels(self) -> int:
        """1 for grey, 3 for RGB."""
        return int(self.train.images.shape[1])

    @property
    def size(self) -> int:
        """Height (= width) of the images in pixels."""
        return int(self.train.images.shape[2])

    @cached_property
    def owner_train(self) -> Split:
        """What an owner trains on when this domain is the source: `train` and 90 % of `pool`."""
        return self.train.join(self.pool.take(self._dealt_pool[len(self.pool) // 10 :]))

    @cached_property
    def owner_validation(self) -> Split:
        """What an owner selects on: `validation` and the other 10 % of `pool`."""
        return self.validation.join(self.pool.take(self._dealt_pool[: len(self.pool) // 10]))

    @cached_property
    def _dealt_pool(self) -> Tensor:
        return torch.randperm(len(self.pool), generator=torch.Generator().manual_seed(0))

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 over class names, pixels and labels of all four splits (hexadecimal)."""
        digest = hashlib.sha256("\0".join(self.classes).encode())
        for split in (self.train, self.validation, self.pool, self.test):
            digest.update(str(tuple(split.images.shape)).encode())
            digest.update(split.images.reshape(-1).numpy().data)
            digest.update(split.labels.reshape(-1).numpy().data)
        return digest.hexdigest()
