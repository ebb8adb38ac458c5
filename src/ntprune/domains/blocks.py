"""Working through a large set a block at a time."""

from __future__ import annotations

from torch import Tensor

# Of one channel, in the images that are worked on together: 512 images of 64×64.
PIXELS = 2**21


def blocks(tensor: Tensor, length: int) -> list[Tensor]:
    """Views of up to `length` rows each, in order."""
    return [tensor[start : start + length] for start in range(0, len(tensor), length)]


def at_once(most: int, side: int) -> int:
    """How many square images to work on at a time, so that memory stays bounded.

    A ResNet50 holds some 10 MB of activations for each image of 224×224 that it merely looks at.

    Args:
        most: for images up to 64×64 or so; fewer of larger ones, at least 1.
        side: pixels.
    """
    return max(1, min(most, PIXELS // side**2))
