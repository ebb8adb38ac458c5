"""Cross-entropy that stops paying once it is high enough."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def clamped_cross_entropy(logits: Tensor, labels: Tensor, ceiling: float) -> Tensor:
    """`min(CE, ceiling)`, CE the batch mean (docs/method.md).

    Maximised without a ceiling, cross-entropy is unbounded and swallows every other term; above
    the ceiling its gradient is zero.

    Args:
        logits: N×C, float.
        labels: N, int64.
        ceiling: in nats, > 0.

    Returns:
        A scalar in [0, ceiling].
    """
    return F.cross_entropy(logits, labels).clamp_max(ceiling)
