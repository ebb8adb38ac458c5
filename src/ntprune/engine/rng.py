"""Random streams that depend on what they are for, and on nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch


def stream_seed(seed: int, *role: object) -> int:
    """A 63-bit seed for `role` (for instance `("subset", "usps", 128)`) under `seed`."""
    text = "\x1f".join(str(part) for part in (seed, *role))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *role: object, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator seeded with `stream_seed(seed, *role)`."""
    return torch.Generator(device=device).manual_seed(stream_seed(seed, *role))


def random_state(device: torch.device) -> dict[str, torch.Tensor]:
    """Where torch's own streams are, by kind of device: of the CPU and of `device`."""
    state = {"cpu": torch.random.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    elif device.type == "mps":
        state["mps"] = torch.mps.get_rng_state()
    elif device.type == "xpu":
        state["xpu"] = torch.xpu.get_rng_state(device)
    return state


def set_random_state(device: torch.device, state: Mapping[str, torch.Tensor]) -> None:
    """Put the streams back to a `random_state` of a `device` of the same kind."""
    torch.random.set_rng_state(state["cpu"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(state["cuda"], device)
    elif device.type == "mps":
        torch.mps.set_rng_state(state["mps"])
    elif device.type == "xpu":
        torch.xpu.set_rng_state(state["xpu"], device)


@contextmanager
def layers_draw(seed: int, device: torch.device) -> Iterator[None]:
    """Inside the block layers that draw for themselves, such as dropout, follow `seed`.

    Other draws from torch's own streams, of the CPU and of `device`, go on afterwards as if the
    block had not been.
    """
    before = random_state(device)
    torch.manual_seed(seed)
    try:
        yield
    finally:
        set_random_state(device, before)
