"""Random streams that depend on what they are for, and on nothing else."""

from __future__ import annotations

import hashlib

import torch


def stream_seed(seed: int, *role: object) -> int:
    """A 63-bit seed for `role` (for instance `("subset", "usps", 128)`) under `seed`."""
    text = "\x1f".join(str(part) for part in (seed, *role))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *role: object, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator seeded with `stream_seed(seed, *role)`."""
    return torch.Generator(device=device).manual_seed(stream_seed(seed, *role))
