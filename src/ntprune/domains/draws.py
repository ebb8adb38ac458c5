"""Random streams, each fixed by the roles it is named after."""

from __future__ import annotations

import hashlib

import torch


def generator(*roles: str | int) -> torch.Generator:
    """A CPU generator whose stream is fixed by `roles`, for instance `(seed, "splits", name)`."""
    digest = hashlib.sha256("\0".join(map(str, roles)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def uniform(
    low: float, high: float, shape: tuple[int, ...], stream: torch.Generator
) -> torch.Tensor:
    """float32 of `shape`, uniform in [low, high)."""
    return low + (high - low) * torch.rand(shape, generator=stream)
