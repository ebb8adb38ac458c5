"""Resizing uint8 images."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ntprune.domains.blocks import at_once, blocks

BLOCK = 4096  # small images at a time: bounds the float copy of a large set


def resize(images: Tensor, size: int | None) -> Tensor:
    """Resize to `size`×`size`: bilinear upwards, antialiased (area-like) downwards.

    Args:
        images: uint8, N×C×H×W.
        size: the new side in pixels; None changes nothing.

    Returns:
        uint8, N×C×size×size; `images` itself if it fits already.
    """
    if size is None or images.shape[-2:] == (size, size) or not len(images):
        return images
    length = at_once(BLOCK, max(size, *images.shape[-2:]))
    return torch.cat([_resize_block(block, size) for block in blocks(images, length)])


def _resize_block(images: Tensor, size: int) -> Tensor:
    resized = F.interpolate(
        images.float(), (size, size), mode="bilinear", antialias=True, align_corners=False
    )
    return resized.round_().clamp_(0, 255).to(torch.uint8)
