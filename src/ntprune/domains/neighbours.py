"""Synthetic neighbours of a domain: its own images in another style.

An owner who does not know what a thief wants the network for protects it against what lies around
the source. A neighbour has the source's classes and shapes, but another size or slant, other
colours, another ground, fewer pixels. Only the source's images are used, and for grounds the two
photographs that scikit-learn ships.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ntprune.domains import styles
from ntprune.domains.blocks import at_once, blocks
from ntprune.domains.domain import Domain, Split
from ntprune.domains.draws import generator
from ntprune.domains.resize import resize
from ntprune.domains.splits import cut, deal

TRAIN, HELD_OUT = 6000, 1000
BLOCK = 1000  # images at a time, fewer of large ones: bounds the float temporaries
MOST_BYTES = 2**28  # of a split, which the device holds

# In the order a scene, a camera and a file would apply them, with the share of images that draw
# each. Every image has one of the first three beside: the others may leave it what it was.
_STYLES = (
    (styles.warp, 0.3),
    (styles.colour, 0.1),
    (styles.ground, 0.1),
    (styles.tone, 0.1),
    (styles.stroke, 0.15),
    (styles.soften, 0.15),
    (styles.coarsen, 0.2),
    (styles.grain, 0.1),
)
# Half of them the first: what a thief wants is often close by, in the source's own colours.
_FIRST_THREE = torch.tensor([2.0, 1.0, 1.0])
# Contrast that no mixture takes from an image, as a share of its own.
_FAINTEST = 0.4
# Mean change of a pixel, as a share of the image's standard deviation, below which a neighbour
# counts as its own original.
_TOO_CLOSE = 0.25


def neighbours(source: Domain, *, size: int | None = None, seed: int = 0) -> Domain:
    """A target of the same classes, each image a source image with styles of its own.

    Train and validation are made from what the owner trains and selects on: the same shapes come
    as source and as neighbour, so that style alone tells them apart, and what protection is judged
    by shows shapes that it was not trained on. Pool and test are made from the two halves of the
    source's test images; protection reads neither. Small sets are used several times over, each
    time in another style.

    Args:
        source: the authorised domain, grey or RGB, of any size and number of classes.
        size: side of the images in pixels; the source's own if not given.
        seed: of every draw.

    Returns:
        A domain named `neighbours of <source>`.
    """
    held = cut(source.test, deal(source.test.labels, 0.5, generator("neighbours", seed, "deal")))
    if not len(held[0]):  # one test image a class, and protection reads neither half
        held = source.test, source.test
    parts = {
        "train": (source.owner_train, TRAIN),
        "validation": (source.owner_validation, HELD_OUT),
        "pool": (held[0], HELD_OUT),
        "test": (held[1], HELD_OUT),
    }
    side = size or source.size
    most = max(HELD_OUT // 4, MOST_BYTES // (source.channels * side * side))
    made = {
        name: _restyled(split, min(count, most), side, generator("neighbours", seed, name))
        for name, (split, count) in parts.items()
    }
    name = f"neighbours of {source.name}"
    return Domain(name, source.classes, flips=source.flips, mixed=True, **made)


def _restyled(split: Split, count: int, size: int, stream: torch.Generator) -> Split:
    rounds = -(-count // len(split))
    rows = torch.cat([torch.randperm(len(split), generator=stream) for _ in range(rounds)])[:count]
    chosen = split.take(rows)
    whole = resize(chosen.images, size)
    images = [restyle(block, stream) for block in blocks(whole, at_once(BLOCK, size))]
    return Split(torch.cat(images), chosen.labels)


def restyle(images: Tensor, stream: torch.Generator) -> Tensor:
    """Each image in a mixture of styles drawn for it alone.

    Args:
        images: uint8, N×C×H×W, C being 1 or 3.
        stream: of every draw.

    Returns:
        The same, none of them its original.
    """
    shares = torch.tensor([share for _, share in _STYLES])
    wanted = torch.rand(len(images), len(_STYLES), generator=stream) < shares
    forced = torch.multinomial(_FIRST_THREE, len(images), replacement=True, generator=stream)
    wanted[torch.arange(len(images)), forced] = True
    original = images.float() / 255
    styled = original.clone()
    for (style, _), mine in zip(_STYLES, wanted.T, strict=True):
        rows = mine.nonzero().flatten()
        if len(rows):
            styled[rows] = style(styled[rows], stream)
            styled[rows] = styles.at_least(
                styled[rows], _FAINTEST * styles.contrast(original[rows])
            )
    change = (styled - original).abs().mean((1, 2, 3), keepdim=True)
    # An even image has no contrast, and less than a step of a pixel's value is no change.
    close = change < (_TOO_CLOSE * styles.contrast(original)).clamp_min(1 / 255)
    return torch.where(close, 1 - original, styled).mul_(255).round_().to(torch.uint8)
