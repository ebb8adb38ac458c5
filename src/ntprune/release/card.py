"""What a release says about itself."""

from __future__ import annotations

import platform
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ntprune.models import ModelSpec

DEFAULT_PRESET = "default"


class SourceRecord(BaseModel):
    """The authorised domain and what the released weights reach on it.

    Attributes:
        name: as given to the registry.
        content_hash: SHA-256 of its pixels and labels.
        validation, test: top-1 accuracy of the released weights, 0 to 1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    content_hash: str
    validation: float = Field(ge=0, le=1)
    test: float = Field(ge=0, le=1)


class Card(BaseModel):
    """`card.json`. Hashes are filled in when the release is saved.

    Attributes:
        method: name in the method registry; `none` for an unprotected model.
        preset: of that method.
        settings: everything the method was told.
        model: blueprint, preprocessing and class names.
        source: accuracy of exactly these weights.
        base: accuracy of the unprotected model that protection started from.
        targets: names of the domains it was protected against.
        sparsity: share of prunable weights that are exactly zero, 0 to 1.
        layers: the same for each parameter that has a mask: the prunable ones, and any other of the
            encoder that the method prunes.
        steps: optimiser steps spent by the method.
        seed: of every random draw.
        weights_sha256, masks_sha256: of `model.safetensors` and `masks.safetensors`.
        versions: of Python and the libraries that numbers depend on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    schema_version: Literal[1] = Field(default=1, alias="schema")
    method: str
    preset: str = DEFAULT_PRESET
    settings: dict[str, Any]
    model: ModelSpec
    source: SourceRecord
    base: SourceRecord | None = None
    targets: tuple[str, ...] = ()
    sparsity: float = Field(ge=0, lt=1)
    layers: dict[str, float]
    steps: int = Field(ge=0)
    seed: int
    weights_sha256: str = ""
    masks_sha256: str = ""
    versions: dict[str, str]

    @property
    def called(self) -> str:
        """The method, and its preset where it is not the default: `ntp (preset paper)`."""
        plain = self.preset == DEFAULT_PRESET
        return self.method if plain else f"{self.method} (preset {self.preset})"


def versions() -> dict[str, str]:
    """Python, torch, torchvision, numpy and ntprune, as installed here."""
    from importlib.metadata import version

    names = ("ntprune", "torch", "torchvision", "numpy")
    return {"python": platform.python_version()} | {name: version(name) for name in names}
