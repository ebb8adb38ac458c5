"""Synthetic digits after Ganin's SYN: rendered in many fonts on coloured, cluttered ground.

Source: Y. Ganin et al., "Domain-Adversarial Training of Neural Networks", JMLR 2016, section 5.2.
The images are drawn afresh from matplotlib's fonts; none of Ganin's are used.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ntprune.domains.blocks import blocks
from ntprune.domains.domain import Split
from ntprune.domains.draws import generator, uniform
from ntprune.domains.glyphs import CANVAS
from ntprune.domains.rawset import DIGITS, RawSet, Request
from ntprune.domains.registry import register
from ntprune.domains.typeset import typeset

REST, TEST = 6000, 1500
BLOCK = 1500  # images at a time: bounds the float temporaries
LUMA = torch.tensor([0.299, 0.587, 0.114])


@register("syndigits", summary="7,500 rendered digits in colour, RGB 16×16, embedded", size=16)
def load(request: Request) -> RawSet:
    """The coloured digits, 32×32."""
    return _render_set(_coloured, "plain")


def grey_scans() -> RawSet:
    """White digits on black, 32×32 grey, from streams that the coloured digits do not use."""
    return _render_set(_white, "blended")


def _render_set(render: Callable[[Tensor, torch.Generator], Tensor], role: str) -> RawSet:
    def part(name: str, count: int) -> Split:
        labels = torch.arange(count) % len(DIGITS)
        stream = generator("syndigits", role, name)
        pixels = torch.cat([render(block, stream) for block in blocks(labels, BLOCK)])
        return Split(pixels.mul_(255).round_().clamp_(0, 255).to(torch.uint8), labels)

    return RawSet(part("rest", REST), part("test", TEST), DIGITS)


def _white(labels: Tensor, stream: torch.Generator) -> Tensor:
    ink = typeset(labels, stream)
    bold = uniform(0, 1, (len(labels), 1, 1, 1), stream) < 0.25
    return torch.where(bold, ink.outline, ink.fill)


def _coloured(labels: Tensor, stream: torch.Generator) -> Tensor:
    count = len(labels)
    ink = typeset(labels, stream)
    ground = uniform(0, 1, (count, 3, 1, 1), stream)
    colour = _contrasting(ground, stream)
    image = _graded(ground, stream)
    faint = uniform(0.3, 0.9, (count, 1, 1, 1), stream)
    image = image.lerp(colour.expand_as(image), ink.neighbours * faint)
    # A third has no outline, a third a bold stroke, a third an outline of another colour.
    kind = torch.randint(3, (count, 1, 1, 1), generator=stream)
    rim = torch.where(kind == 1, colour, uniform(0, 1, (count, 3, 1, 1), stream))
    image = image.lerp(rim.expand_as(image), ink.outline * (kind > 0))
    image = image.lerp(colour.expand_as(image), ink.fill)
    blurred = F.avg_pool2d(image, 3, stride=1, padding=1, count_include_pad=False)
    image = image.lerp(blurred, uniform(0, 1, (count, 1, 1, 1), stream))
    grain = uniform(0, 0.08, (count, 1, 1, 1), stream)
    return image + grain * torch.randn(image.shape, generator=stream)


def _contrasting(ground: Tensor, stream: torch.Generator) -> Tensor:
    """Of eight random colours the one whose brightness is furthest from the ground's."""
    drawn = uniform(0, 1, (len(ground), 8, 3), stream)
    gap = ((drawn - ground.flatten(1).unsqueeze(1)) @ LUMA).abs()
    best = gap.argmax(dim=1)
    return drawn[torch.arange(len(ground)), best, :, None, None]


def _graded(ground: Tensor, stream: torch.Generator) -> Tensor:
    """The ground as N×3×CANVAS×CANVAS: plain for half of the images, else a linear gradient."""
    count = len(ground)
    turn = uniform(0, 2 * math.pi, (count, 1, 1, 1), stream)
    axis = torch.linspace(-1, 1, CANVAS)
    ramp = turn.cos() * axis + turn.sin() * axis[:, None]
    change = uniform(-0.25, 0.25, (count, 3, 1, 1), stream)
    graded = uniform(0, 1, (count, 1, 1, 1), stream) < 0.5
    return (ground + graded * change * ramp).clamp(0, 1)
