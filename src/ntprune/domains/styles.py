"""Changes of style that leave an image recognisable: shape, stroke, colour, ground, sharpness.

Each takes float32 images, N×C×H×W, 0 to 1, C being 1 or 3, and a random stream, draws its amounts
for every image anew and returns images of the same kind. None has the identity among its draws:
an amount is at least what a careful look would notice.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from ntprune.domains.draws import uniform
from ntprune.domains.photographs import crops, photographs

LUMA = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)


def warp(images: Tensor, stream: torch.Generator) -> Tensor:
    """Smaller or larger, turned, sheared, shifted and bent."""
    count, _, size, _ = images.shape
    larger = _coin(count, stream).flatten()
    zoom = torch.where(
        larger, uniform(1.15, 1.4, (count,), stream), uniform(0.68, 0.85, (count,), stream)
    )
    stretch = uniform(0.85, 1.18, (count,), stream)
    angle = uniform(-math.pi / 9, math.pi / 9, (count,), stream)
    slant = uniform(-0.25, 0.25, (count,), stream)
    shift = uniform(-0.1, 0.1, (count, 2, 1), stream)
    cos, sin = angle.cos() / zoom, angle.sin() / zoom
    rows = torch.stack(
        (
            torch.stack((cos * stretch, (slant * cos - sin) * stretch), dim=-1),
            torch.stack((sin / stretch, (slant * sin + cos) / stretch), dim=-1),
        ),
        dim=1,
    )
    grid = F.affine_grid(torch.cat((rows, shift), dim=2), list(images.shape), align_corners=False)
    bent = _waves(count, 2, size, 4, stream) * uniform(0, 0.06, (count, 1, 1, 1), stream)
    return F.grid_sample(
        images, grid + bent.permute(0, 2, 3, 1), padding_mode="border", align_corners=False
    ).clamp_(0, 1)


def stroke(images: Tensor, stream: torch.Generator) -> Tensor:
    """Bright parts thicker or thinner."""
    reach = max(1, round(images.shape[-1] / 28))
    sign = _coin(len(images), stream) * 2.0 - 1
    grown = sign * F.max_pool2d(sign * images, 2 * reach + 1, stride=1, padding=reach)
    return images.lerp(grown, uniform(0.3, 0.8, sign.shape, stream))


def tone(images: Tensor, stream: torch.Generator) -> Tensor:
    """Another curve of contrast: inverted for a half, flatter for the rest."""
    count, knots = len(images), 5
    inverted = _coin(count, stream).view(count, 1)
    span = torch.where(
        inverted, uniform(0.6, 1, (count, 1), stream), uniform(0.45, 0.75, (count, 1), stream)
    )
    low = uniform(0, 1, (count, 1), stream) * (1 - span)
    steps = uniform(0.3, 1.7, (count, knots - 1), stream).cumsum(1)
    curve = low + span * F.pad(steps / steps[:, -1:], (1, 0))
    curve = torch.where(inverted, curve.flip(1), curve)
    table = F.interpolate(curve[:, None], 256, mode="linear", align_corners=True)[:, 0]
    values = images.mul(255).round_().long()
    return table.gather(1, values.flatten(1)).view_as(images)


def colour(images: Tensor, stream: torch.Generator) -> Tensor:
    """Colour space turned at random, and paler; of grey images another tone."""
    count, channels = images.shape[:2]
    if channels == 1:
        return tone(images, stream)
    turn, _ = torch.linalg.qr(torch.randn(count, 3, 3, generator=stream))
    flat = images.flatten(2)
    centred = flat - flat.mean(2, keepdim=True)
    # Written out: a batched product may round differently with another number of threads.
    turned = (turn[..., None] * centred[:, None]).sum(2)
    paler = turned.lerp(turned.mean(1, keepdim=True), uniform(0, 0.8, (count, 1, 1), stream))
    lit: Tensor = paler + uniform(0.25, 0.75, (count, 3, 1), stream)
    return lit.view_as(images).clamp_(0, 1)


def ground(images: Tensor, stream: torch.Generator) -> Tensor:
    """Over a photograph or soft clouds, by absolute difference (see `blended`) or half through.

    A ground is never much richer in contrast than the image, or it would hide it.
    """
    count, channels, size, _ = images.shape
    photo = crops(photographs(), count, size, stream) / 255
    if channels == 1:
        photo = (photo * LUMA).sum(1, keepdim=True)
    clouds = uniform(0, 1, (count, channels, 1, 1), stream) + 0.25 * _waves(
        count, channels, size, 5, stream
    )
    laid = torch.where(_coin(count, stream), photo, clouds)
    middle = laid.mean((1, 2, 3), keepdim=True)
    factor = (0.5 * contrast(images) / contrast(laid).clamp_min(1e-3)).clamp_max(1)
    laid = middle + (laid - middle) * factor
    through = images.lerp(laid, uniform(0.25, 0.45, (count, 1, 1, 1), stream))
    return torch.where(_coin(count, stream), (laid - images).abs(), through).clamp_(0, 1)


def coarsen(images: Tensor, stream: torch.Generator) -> Tensor:
    """Shrunk to between a half and four fifths, and back: smooth, or in blocks."""
    size = images.shape[-1]
    fewest = min(8, size - 2)
    sides = [max(fewest, round(share * size)) for share in (0.5, 0.6, 0.7, 0.8)]
    which = torch.randint(len(sides), (len(images),), generator=stream)
    blocky = _coin(len(images), stream)
    out = torch.empty_like(images)
    for index, side in enumerate(sides):
        rows = (which == index).nonzero().flatten()
        if not len(rows):
            continue
        small = F.interpolate(images[rows], (side, side), mode="bilinear", antialias=True)
        smooth = F.interpolate(small, (size, size), mode="bilinear")
        out[rows] = torch.where(blocky[rows], F.interpolate(small, (size, size)), smooth)
    return out


def soften(images: Tensor, stream: torch.Generator) -> Tensor:
    """Blurred, or sharpened beyond what is natural."""
    reach = max(1, round(images.shape[-1] / 28))
    blurred = images
    for _ in range(2):
        blurred = F.avg_pool2d(blurred, 2 * reach + 1, 1, reach, count_include_pad=False)
    shape = (len(images), 1, 1, 1)
    amount = torch.where(
        _coin(len(images), stream),
        uniform(0.5, 1, shape, stream),
        uniform(-1.5, -0.7, shape, stream),
    )
    return images.lerp(blurred, amount).clamp_(0, 1)


def grain(images: Tensor, stream: torch.Generator) -> Tensor:
    """Noise a sixth to two fifths as strong as the image's own contrast."""
    noise = torch.randn(images.shape, generator=stream) * contrast(images)
    return (images + uniform(0.15, 0.4, (len(images), 1, 1, 1), stream) * noise).clamp_(0, 1)


def contrast(images: Tensor) -> Tensor:
    """Standard deviation over pixels and channels: N×1×1×1."""
    return images.std((1, 2, 3), keepdim=True)


def at_least(images: Tensor, wanted: Tensor) -> Tensor:
    """`images` with a contrast of `wanted` (N×1×1×1) where theirs is lower."""
    middle = images.mean((1, 2, 3), keepdim=True)
    factor = (wanted / contrast(images).clamp_min(1e-3)).clamp_min(1)
    return (middle + (images - middle) * factor).clamp_(0, 1)


def _coin(count: int, stream: torch.Generator) -> Tensor:
    """bool, count×1×1×1."""
    return torch.rand((count, 1, 1, 1), generator=stream) < 0.5


def _waves(count: int, channels: int, size: int, knots: int, stream: torch.Generator) -> Tensor:
    """Smooth random fields of about unit variance: float32, count×channels×size×size."""
    coarse = torch.randn(count, channels, knots, knots, generator=stream)
    return F.interpolate(coarse, (size, size), mode="bicubic", align_corners=True)
