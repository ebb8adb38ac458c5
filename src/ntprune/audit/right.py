"""Which images of a split a model has right, as a job's result holds it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ntprune.metrics import paired_share_interval


def packed(right: Tensor) -> dict[str, str | int]:
    """Whether each of N images is right (bool, N): their number, and eight a byte, hexadecimal."""
    return {"images": len(right), "bits": np.packbits(right.cpu().numpy()).tobytes().hex()}


def unpacked(found: dict[str, str | int]) -> NDArray[np.bool_]:
    """What `packed` was given."""
    bits = np.frombuffer(bytes.fromhex(str(found["bits"])), dtype=np.uint8)
    return np.unpackbits(bits, count=int(found["images"])).astype(bool)


def drop_interval(before: dict[str, str | int], after: dict[str, str | int]) -> tuple[float, float]:
    """95 % interval of the accuracy lost from `before` to `after` (`packed`), in points."""
    low, high = paired_share_interval(unpacked(before), unpacked(after))
    return round(100 * low, 4), round(100 * high, 4)
