"""Placing digits of the atlas on canvases: font, size, rotation, slant and position at random."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ntprune.domains.draws import uniform
from ntprune.domains.glyphs import CANVAS, atlas

ADVANCE = (1.1, 1.4)  # from one digit of a number to the next, in half canvases


class Ink(NamedTuple):
    """Coverage, each float32, N×1×CANVAS×CANVAS, 0 to 1."""

    fill: Tensor
    outline: Tensor  # of the fill and what its outline adds
    neighbours: Tensor  # of the digits beside it, at most one on each side


def typeset(labels: Tensor, stream: torch.Generator) -> Ink:
    """Draw each label (int64, N, 0 to 9) once, slightly off centre, a neighbour beside some."""
    count = len(labels)
    glyphs = atlas()
    font = torch.randint(len(glyphs), (count,), generator=stream)
    grid = _grid(count, stream)
    layers = _sample(glyphs[font, labels], grid)
    neighbours = torch.zeros(count, 1, CANVAS, CANVAS)
    for side in (-1.0, 1.0):
        digit = torch.randint(10, (count,), generator=stream)
        shift = torch.zeros(count, 1, 1, 2)
        shift[..., 0] = side * uniform(*ADVANCE, (count, 1, 1), stream)
        present = uniform(0, 1, (count, 1, 1, 1), stream) < 0.4
        beside = _sample(glyphs[font, digit, :1], grid - shift)
        neighbours = torch.maximum(neighbours, beside * present)
    return Ink(layers[:, :1], layers[:, 1:], neighbours)


def _grid(count: int, stream: torch.Generator) -> Tensor:
    """Sampling grid: for each pixel of the canvas the place on the atlas it shows."""
    angle = uniform(-math.pi / 9, math.pi / 9, (count,), stream)
    slant = uniform(-0.2, 0.2, (count,), stream)
    height = uniform(0.8, 1.25, (count,), stream)
    width = height * uniform(0.8, 1.15, (count,), stream)
    centre = uniform(-0.15, 0.15, (count, 2, 1), stream)
    cos, sin = angle.cos(), angle.sin()
    rows = torch.stack(
        (
            torch.stack(((cos + slant * sin) / width, (sin - slant * cos) / width), dim=-1),
            torch.stack((-sin / height, cos / height), dim=-1),
        ),
        dim=1,
    )
    theta = torch.cat((rows, -rows @ centre), dim=2)
    return F.affine_grid(theta, [count, 1, CANVAS, CANVAS], align_corners=False)


def _sample(glyphs: Tensor, grid: Tensor) -> Tensor:
    return F.grid_sample(glyphs, grid, align_corners=False)
