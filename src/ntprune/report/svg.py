"""Matplotlib drawings as inline SVG that takes its colours and font from the page.

Drawings use sentinel colours; in the SVG each becomes a CSS variable, so one drawing suits a light
and a dark page. Text stays text. The same drawing gives the same bytes.
"""

from __future__ import annotations

import io
import re
import threading
import warnings
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

INK, MUTED, GRID, PAPER = "#fe0001", "#fe0002", "#fe0003", "#fe0004"
SCRATCH, RELEASE, UNPROTECTED = "#fe0100", "#fe0101", "#fe0102"
SERIES = ("#fe0103", "#fe0104", "#fe0105", "#fe0106", "#fe0107", "#fe0108")
_VARIABLES = {
    INK: "ink",
    MUTED: "muted",
    GRID: "grid",
    PAPER: "paper",
    SCRATCH: "scratch",
    RELEASE: "release",
    UNPROTECTED: "unprotected",
    **{colour: f"series-{index}" for index, colour in enumerate(SERIES)},
}
_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "axes.formatter.use_mathtext": False,
    "axes.unicode_minus": True,
    "font.size": 12.0,
    "axes.titlesize": 12.0,
    "axes.labelsize": 12.0,
    "legend.fontsize": 12.0,
    "xtick.labelsize": 11.0,
    "ytick.labelsize": 11.0,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": GRID,
    "axes.titlecolor": INK,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "axes.linewidth": 0.8,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.handlelength": 2.8,
}
# rcParams are process-wide: they are set for one drawing at a time and put back.
_ONE_AT_A_TIME = threading.Lock()

WIDE, NARROW = 760, 350


def to_svg(
    key: str, label: str, width: int, height: int, draw: Callable[[Figure, int], None]
) -> str:
    """The `<svg>` element that `draw` makes on an empty figure of `width` by `height` pixels.

    Args:
        key: unique in the page; prefixes every id.
        label: what a screen reader says.
        width, height: of the view box.
        draw: is given the figure and its width.
    """
    style: Any = _STYLE | {"svg.hashsalt": key}
    # Fonts only set the measure here; the page's own font draws what the measure lacks.
    with _ONE_AT_A_TIME, mpl.rc_context(style), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        figure = Figure(figsize=(width / 72, height / 72), layout="constrained")
        figure.patch.set_alpha(0)
        draw(figure, width)
        buffer = io.StringIO()
        FigureCanvasSVG(figure)
        blank = {"Date": None, "Creator": None, "Format": None, "Type": None}
        figure.savefig(buffer, format="svg", metadata=blank)
    return _inline(buffer.getvalue(), key, label, width, height)


def standalone(
    key: str, label: str, width: int, height: int, draw: Callable[[Figure, int], None]
) -> str:
    """The same as a file of its own, in the light page's colours on its paper."""
    body = to_svg(key, label, width, height, draw)
    light = (Path(__file__).parent / "templates" / "report.css").read_text().partition("@media")[0]
    for name, colour in re.findall(r"--([\w-]+): (#[0-9a-f]{6})", light):
        body = body.replace(f"var(--{name})", colour)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        'font-family="system-ui, Roboto, Helvetica Neue, Arial, sans-serif" '
    )
    paper = '<rect width="100%" height="100%" fill="#ffffff"/>'
    return body.replace("<svg ", head, 1).replace(">", f">{paper}", 1) + "\n"


def plain_axes(axes: Axes, grid: Literal["x", "y"]) -> None:
    """No ticks, grid lines along `grid` (`x` or `y`) only."""
    axes.tick_params(length=0, pad=5)
    axes.grid(axis=grid)
    if grid == "x":
        axes.spines["left"].set_visible(False)


def _inline(svg: str, key: str, label: str, width: int, height: int) -> str:
    body = svg[svg.index(">", svg.index("<svg")) + 1 :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r"<style[^>]*>.*?</style>", "", body, flags=re.DOTALL)
    body = re.sub(r"<defs>\s*</defs>", "", body)
    body = re.sub(r"<!--.*?-->", "", body, flags=re.DOTALL)
    body = body.replace("xlink:href=", "href=")
    used = set(re.findall(r'(?:url\(#|href="#)([^")]+)', body))
    body = re.sub(
        r' id="([^"]+)"',
        lambda found: f' id="{key}-{found[1]}"' if found[1] in used else "",
        body,
    )
    body = re.sub(r'(url\(#|href="#)', lambda found: f"{found[1]}{key}-", body)
    body = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", body)
    body = re.sub(
        r"font: (bold|\d{3}) ([\d.]+)px [^;\"]*", r"font-weight: \1; font-size: \2px", body
    )
    for colour, name in _VARIABLES.items():
        body = body.replace(colour, f"var(--{name})")
    body = re.sub(r"\n\s*", "\n", body)
    head = f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">'
    return head + body.strip()
