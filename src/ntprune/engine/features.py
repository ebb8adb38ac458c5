"""What an encoder makes of images that are looked at many times."""

from __future__ import annotations

import torch
from torch import Tensor

from ntprune.domains.blocks import at_once, blocks
from ntprune.models import Model

# As float32 a quarter of a gigabyte: some 670 maps of a ResNet50 at 224×224 pixels, and more than
# is ever asked for of a network at 32×32.
NUMBERS = 2**26
# Images whose own statistics say something of the others'.
FEWEST = 8


@torch.no_grad()
def feature_maps(model: Model, images: Tensor, batch: int = 256) -> Tensor:
    """Feature maps of `images`, or of the first of them, if all would take too much memory.

    Args:
        model: in the mode it is to encode in.
        images: resized uint8, N×C×H×W, at least one.
        batch: images at a time; fewer of large ones.

    Returns:
        n×D×h×w, or n×D where the encoder gives vectors; n is N unless the maps of N images are more
        than a quarter of a gigabyte, or in train mode a handful would be left for a last block.
    """
    parts: list[Tensor] = []
    cuts = blocks(images, at_once(batch, images.shape[-1]))
    if model.module.training and len(cuts) > 1 and len(cuts[-1]) < FEWEST:
        cuts.pop()
    for part in cuts:
        parts.append(model.encode(part))
        if sum(maps.numel() for maps in parts) >= NUMBERS:
            break
    return torch.cat(parts)
