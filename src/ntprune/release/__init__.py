"""The artefact that is shipped: plain weights, masks and a card."""

from ntprune.release.card import DEFAULT_PRESET, Card, SourceRecord
from ntprune.release.check import check
from ntprune.release.files import load, save, save_weights
from ntprune.release.release import Release

__all__ = [
    "DEFAULT_PRESET",
    "Card",
    "Release",
    "SourceRecord",
    "check",
    "load",
    "save",
    "save_weights",
]
