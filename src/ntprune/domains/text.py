"""Putting foreign messages on one line."""

from __future__ import annotations


def one_line(error: Exception) -> str:
    """The message of `error` without line breaks; its type where it has none."""
    return " ".join(str(error).split()) or type(error).__name__
