"""Random crops of the two photographs that scikit-learn ships."""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from ntprune.domains.draws import uniform

LARGEST_CROP = 400  # pixels a side; the photographs are 427 high
BRIGHTNESS = (0.5, 1.2)


@cache
def photographs() -> Tensor:
    """china.jpg and flower.jpg: uint8, 2×3×427×640; not to be changed."""
    from sklearn.datasets import load_sample_images

    return torch.stack(
        [torch.tensor(image).permute(2, 0, 1) for image in load_sample_images().images]
    )


def crops(photos: Tensor, count: int, size: int, stream: torch.Generator) -> Tensor:
    """Random crops of about twice `size`, shrunk to it: float32, count×3×size×size, 0 to 255."""
    side = min(2 * size, LARGEST_CROP)
    height, width = photos.shape[2:]
    photo = torch.randint(len(photos), (count, 1, 1), generator=stream)
    top = torch.randint(height - side + 1, (count, 1, 1), generator=stream)
    left = torch.randint(width - side + 1, (count, 1, 1), generator=stream)
    along = torch.arange(side)
    cut = photos[photo, :, top + along[:, None], left + along].permute(0, 3, 1, 2).float()
    shrunk = F.interpolate(cut, (size, size), mode="bilinear", antialias=True)
    return (shrunk * uniform(*BRIGHTNESS, (count, 1, 1, 1), stream)).clamp_(0, 255)
