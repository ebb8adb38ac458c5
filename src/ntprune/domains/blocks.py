"""Working through a large tensor a block at a time."""

from __future__ import annotations

from torch import Tensor


def blocks(tensor: Tensor, length: int) -> list[Tensor]:
    """Views of up to `length` rows each, in order."""
    return [tensor[start : start + length] for start in range(0, len(tensor), length)]
