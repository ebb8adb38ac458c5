"""An atlas of digits drawn in the fonts that matplotlib ships."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

CANVAS = 32  # pixels a side
DIGIT_HEIGHT = 20  # pixels, of the digit 8
STROKE = 2  # pixels the outline adds on every side

# Named one by one: the other bundled fonts hold symbols, delimiters or old-style digits.
FONTS = (
    *(f"DejaVuSans{face}" for face in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSansMono{face}" for face in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSerif{face}" for face in ("", "-Bold", "-Italic", "-BoldItalic")),
    *(f"STIXGeneral{face}" for face in ("", "Bol", "Italic", "BolIta")),
    *("cmr10", "cmb10", "cmss10", "cmtt10"),
)


@cache
def atlas() -> Tensor:
    """Coverage of every digit in every font, centred on its canvas.

    Returns:
        float32, fonts×10×2×CANVAS×CANVAS, 0 to 1; the third axis is fill, then fill and outline.
    """
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    drawn = [
        [_draw(_font(folder / f"{font}.ttf"), digit) for digit in "0123456789"] for font in FONTS
    ]
    return torch.from_numpy(np.array(drawn, dtype=np.float32) / 255)


def _font(path: Path) -> FreeTypeFont:
    from PIL import ImageFont

    _, top, _, bottom = ImageFont.truetype(path, 100).getbbox("8")
    return ImageFont.truetype(path, 100 * DIGIT_HEIGHT / (bottom - top))


def _draw(font: FreeTypeFont, digit: str) -> list[np.ndarray[Any, np.dtype[np.uint8]]]:
    from PIL import Image, ImageDraw

    left, top, right, bottom = font.getbbox(digit)
    corner = ((CANVAS - left - right) / 2, (CANVAS - top - bottom) / 2)
    layers = []
    for stroke in (0, STROKE):
        canvas = Image.new("L", (CANVAS, CANVAS))
        ImageDraw.Draw(canvas).text(corner, digit, fill=255, font=font, stroke_width=stroke)
        layers.append(np.asarray(canvas))
    return layers
