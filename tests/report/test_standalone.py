"""A figure as a file of its own."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from matplotlib.figure import Figure

from ntprune.report.svg import INK, RELEASE, SERIES, UNPROTECTED, standalone


def draw(figure: Figure, width: int) -> None:
    axes = figure.add_subplot()
    for place, colour in enumerate((INK, RELEASE, UNPROTECTED, *SERIES)):
        axes.plot([0, 1], [place, place], color=colour, marker="o")
    axes.set_xlabel("a < b & c")


def test_it_is_whole_and_needs_no_page() -> None:
    text = standalone("key", "what is > shown", 300, 200, draw)
    root = ElementTree.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert (root.get("width"), root.get("aria-label")) == ("300", "what is > shown")
    assert "var(" not in text
    assert "#fe0" not in text
    assert "#0b62a8" in text


@pytest.mark.parametrize("key", ["a", "b"])
def test_the_same_drawing_gives_the_same_bytes(key: str) -> None:
    assert standalone(key, "", 300, 200, draw) == standalone(key, "", 300, 200, draw)
