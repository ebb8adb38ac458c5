"""Where tensors live and how many threads work on them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ntprune.engine.memory import keep_freed_memory
from ntprune.errors import SettingsError

KINDS = ("cpu", "cuda", "mps", "xpu")


def resolve_device(name: str = "auto") -> torch.device:
    """`auto` is CUDA, then Apple's MPS, then the CPU; where that is, memory is kept for reuse.

    Raises:
        SettingsError: the device does not exist on this machine.
    """
    keep_freed_memory()
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        if device.type not in KINDS:
            raise RuntimeError("nothing is computed there")
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise SettingsError(
            f"device '{name}' is not available here: use --device auto or --device cpu"
        ) from error
    return device


def widest(device: torch.device) -> torch.dtype:
    """The floating point type for long sums: Apple's devices have no float64."""
    return torch.float32 if device.type == "mps" else torch.float64


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Run torch's CPU kernels on `count` threads, then on as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
