"""Dealing a labelled image set into disjoint, stratified splits."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ntprune.domains.domain import Split
from ntprune.domains.draws import generator
from ntprune.errors import DataInvalidError

TEST_SHARE = 0.2
VALIDATION_SHARE = 0.2


def deal(labels: Tensor, share: float, stream: torch.Generator, least: int = 1) -> Tensor:
    """Choose a `share` of every class at random.

    Args:
        labels: int64, N, non-negative.
        share: 0 to 1, of each class.
        stream: fixes the choice.
        least: a class gives at least so many, as long as it keeps one.

    Returns:
        bool, N: True where chosen.
    """
    counts = torch.bincount(labels)
    quota = (counts.double() * share).round().long().clamp(min=least)
    quota = torch.minimum(quota, (counts - 1).clamp(min=0))
    shuffled = torch.randperm(len(labels), generator=stream)
    order = shuffled[torch.argsort(labels[shuffled], stable=True)]
    of_class = labels[order]
    rank = torch.arange(len(labels)) - (counts.cumsum(0) - counts)[of_class]
    chosen = torch.zeros(len(labels), dtype=torch.bool)
    chosen[order] = rank < quota[of_class]
    return chosen


def cut(split: Split, chosen: Tensor) -> tuple[Split, Split]:
    """`split` as two: the rows where `chosen` (bool, N) is True, and the others."""
    return split.take(chosen.nonzero().flatten()), split.take((~chosen).nonzero().flatten())


def defender_share(count: int) -> float:
    """The share of `count` non-test images that the defender holds.

    A tenth of a large set; of a small one up to 1,000 images, but never more than 40 %, so that a
    thief has something left to draw from. The count is that of all classes: were it that of a class
    filter, an image would change sides with it.
    """
    return max(0.1, min(1000 / max(count, 1), 0.4))


def hold_out_test(
    images: Split, classes: tuple[str, ...], name: str, *, wanted: Sequence[int] | None = None
) -> tuple[Split, Split]:
    """Hold a stratified test split out of a set that came without one.

    The choice depends on `name` alone, not on any seed: what is test stays test.

    Args:
        images: of all classes.
        classes: their names.
        name: of the set.
        wanted: classes that must have enough images; by default all.

    Returns:
        The rest, and the test split.

    Raises:
        DataInvalidError: a wanted class has fewer than 4 images.
    """
    _require(images.labels, classes, wanted, 4, name, "train, validation, pool and test")
    test, rest = cut(images, deal(images.labels, TEST_SHARE, generator("test", name)))
    return rest, test


def split_rest(
    rest: Split,
    classes: tuple[str, ...],
    name: str,
    seed: int,
    *,
    wanted: Sequence[int] | None = None,
) -> tuple[Split, Split, Split]:
    """Deal what is not test to the defender (train, validation) and to the thief (pool).

    Stratified by class, fixed by (seed, name), disjoint by construction.

    Args:
        rest: of all classes.
        classes: their names.
        name: of the set.
        seed: of the deal.
        wanted: classes that must have enough images; by default all.

    Returns:
        train, validation, pool; every wanted class is in each of them.

    Raises:
        DataInvalidError: a wanted class has fewer than 3 images.
    """
    _require(rest.labels, classes, wanted, 3, name, "train, validation and pool")
    stream = generator(seed, "splits", name)
    held, pool = cut(rest, deal(rest.labels, defender_share(len(rest)), stream, least=2))
    validation, train = cut(held, deal(held.labels, VALIDATION_SHARE, stream))
    return train, validation, pool


def _require(
    labels: Tensor,
    classes: tuple[str, ...],
    wanted: Sequence[int] | None,
    least: int,
    name: str,
    splits: str,
) -> None:
    counts = torch.bincount(labels, minlength=len(classes)).tolist()
    poorest = min(range(len(classes)) if wanted is None else wanted, key=counts.__getitem__)
    if counts[poorest] < least:
        raise DataInvalidError(
            f"{name}: class '{classes[poorest]}' has {counts[poorest]} images to deal, "
            f"expected at least {least} (one each for {splits}): add images or leave the class "
            "out with a class filter such as name[0,1]"
        )
