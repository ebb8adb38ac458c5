"""Random streams that depend on what they are for, and on nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def stream_seed(seed: int, *role: object) -> int:
    """A 63-bit seed for `role` (for instance `("subset", "usps", 128)`) under `seed`."""
    text = "\x1f".join(str(part) for part in (seed, *role))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *role: object, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator seeded with `stream_seed(seed, *role)`."""
    return torch.Generator(device=device).manual_seed(stream_seed(seed, *role))


@contextmanager
def layers_draw(seed: int, device: torch.device) -> Iterator[None]:
    """Inside the block layers that draw for themselves, such as dropout, follow `seed`.

    Other draws from torch's own streams, of the CPU and of a CUDA `device`, go on afterwards as if
    the block had not been.
    """
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
