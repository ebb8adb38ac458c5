"""How the C library hands out the memory that tensors live in on the CPU."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # glibc, malloc.h
_NEVER = 2**30
# Releases of glibc refuse to map nothing below more than half a heap.
_HALF_A_HEAP = 2**25


def keep_freed_memory() -> None:
    """Let this process keep the memory of freed tensors for the next ones (glibc; else nothing).

    A training step frees and asks for the same few megabytes again and again. By default glibc
    gives them back to the system and the system has to hand out zeroed pages again, which is about
    a tenth of a step of a small net (`benchmarks/memory.py`).
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is None:
        return
    # To set the second alone would be worse than neither: from then on the first stays where it
    # is, at 128 KB, and whatever is larger goes back to the system at once.
    if mallopt(_MMAP_THRESHOLD, _NEVER) or mallopt(_MMAP_THRESHOLD, _HALF_A_HEAP):
        mallopt(_TRIM_THRESHOLD, _NEVER)
