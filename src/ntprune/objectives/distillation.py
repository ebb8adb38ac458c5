"""Learning from the outputs of a teacher instead of labels alone."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def distilled_cross_entropy(
    logits: Tensor, labels: Tensor, teacher: Tensor, share: float, temperature: float = 2.0
) -> Tensor:
    """`(1 − s)·CE(logits, labels) + s·T²·KL(teacher ‖ logits)` of outputs softened by T.

    Hinton, Vinyals, Dean: Distilling the Knowledge in a Neural Network, 2015. T² keeps the
    gradients of both parts on one scale.

    Args:
        logits: N×C, float.
        labels: N, int64.
        teacher: N×C logits, without gradient.
        share: s, in [0, 1].
        temperature: T, > 0.

    Returns:
        A scalar ≥ 0, in nats; with `share` 1, zero if the distributions agree.
    """
    soft = F.kl_div(
        F.log_softmax(logits / temperature, 1),
        F.log_softmax(teacher / temperature, 1),
        reduction="batchmean",
        log_target=True,
    )
    return (1 - share) * F.cross_entropy(logits, labels) + share * temperature**2 * soft
