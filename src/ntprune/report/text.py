"""How numbers and names are written, alike in HTML, Markdown and figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

NBSP = "\u00a0"
MINUS = "\u2212"
NONE = "–"


def clean(name: object, limit: int = 0) -> str:
    """A name from outside on one line, without control characters, cut in its middle to `limit`."""
    text = "".join(c if c.isprintable() else " " for c in str(name)).strip()
    if limit and len(text) > limit:
        tail = (limit - 1) // 2
        return f"{text[: limit - 1 - tail]}…{text[len(text) - tail :]}"
    return text


def number(value: float, digits: int) -> str:
    """`value` rounded, with thousands separators and a true minus sign."""
    if not math.isfinite(value):
        return NONE
    text = f"{value:,.{digits}f}"
    if text.startswith("-") and not text.strip("-0.,"):
        text = text[1:]
    return text.replace("-", MINUS)


def signed(value: float, digits: int) -> str:
    """Like `number`, with a plus sign where the rounded value is above zero."""
    text = number(value, digits)
    return f"+{text}" if value > 0 and text.strip("0.,") else text


def percent(share: float, digits: int = 1) -> str:
    """A share from 0 to 1 as a percentage."""
    return f"{number(100 * share, digits)}{NBSP}%"


def points(share: float, digits: int = 1) -> str:
    """A difference of accuracies (shares) in percentage points, signed, without the unit."""
    return signed(100 * share, digits)


def interval(ends: tuple[float, float], digits: int = 1) -> str:
    """An interval of differences in percentage points."""
    return f"{points(ends[0], digits)} to {points(ends[1], digits)}"


def ends_of(ends: tuple[float, float], digits: int) -> str:
    """An interval in the unit that it comes in."""
    return f"{number(ends[0], digits)} to {number(ends[1], digits)}"


def lost(drop: float, ends: tuple[float, float] | None, digits: int) -> str:
    """Percentage points lost, with their interval where one is known."""
    return number(drop, digits) + ("" if ends is None else f" ({ends_of(ends, digits)})")


def duration(seconds: float) -> str:
    """Seconds in the unit that suits them."""
    if seconds < 120:
        return f"{number(seconds, 0)}{NBSP}s"
    if seconds < 7200:
        return f"{number(seconds / 60, 0)}{NBSP}min"
    return f"{number(seconds / 3600, 1)}{NBSP}h"


def setting(value: Any) -> str:
    """A setting's value."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, dict):
        return ", ".join(f"{clean(key)} {setting(item)}" for key, item in value.items()) or NONE
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(setting(item) for item in value) or NONE
    return clean(value) or NONE
