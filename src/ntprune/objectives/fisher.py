"""The Fisher-space regulariser: how well classes separate in a feature space."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def fisher_ratio(features: Tensor, labels: Tensor, classes: int, eps: float = 1e-6) -> Tensor:
    """Trace-type Fisher ratio S_B / S_W of L2-normalised features (docs/method.md).

    S_B = Σ_c (n_c/N)·‖μ_c − μ‖² and S_W = (1/N)·Σ_i ‖f_i − μ_{y_i}‖², over the classes present in
    the batch; a class that is absent has weight zero. Features are L2-normalised over channels
    (dimension 1) at each location, then flattened.

    Args:
        features: N×D or N×D×(any shape), float.
        labels: N, int64, in [0, classes).
        classes: number of classes.
        eps: added to S_W.

    Returns:
        A scalar ≥ 0; zero if all class means coincide, or no class has two images.
    """
    flat = F.normalize(features, dim=1).flatten(1)
    centred = flat - flat.mean(0)
    # A comparison instead of one_hot, which reads its input back from the device to check it.
    member = (labels[:, None] == torch.arange(classes, device=labels.device)).to(flat.dtype)
    counts = member.sum(0)
    means = (member.T @ centred) / counts.clamp_min(1)[:, None]
    between = (counts / len(flat)) @ means.square().sum(1)
    # Total scatter is the sum of both, so the distances to class means need no second pass.
    within = centred.square().sum(1).mean() - between
    ratio = between / (within.clamp_min(0) + eps)
    # Where every image is the only one of its class, nothing is within: eps would decide.
    return ratio * (counts.max() > 1)


def scaled_fisher_ratio(
    features: Tensor, labels: Tensor, classes: int, eps: float = 1e-8
) -> Tensor:
    """The Fisher ratio as the authors of NTP scale it, for their preset (Ding et al. 2024).

    S_B = mean_{c,d} (μ_{c,d} − μ_d)², μ being the plain mean of the class means, and
    S_W = Σ_c mean_{i∈c,d} (f_{i,d} − μ_{c,d})², d running over channels and locations. Classes
    count alike whatever their size, and the sum in S_W makes the ratio smaller the more there are.
    Two things keep it from crashing and are not theirs: `eps`, and that a class which is absent
    from the batch is left out, where they count a mean of zero for it.

    Args:
        features: N×D or N×D×(any shape), float; L2-normalised here over channels (dimension 1).
        labels: N, int64, in [0, classes).
        classes: number of classes.
        eps: added to S_W.

    Returns:
        A scalar ≥ 0; zero if all class means coincide.
    """
    flat = F.normalize(features, dim=1).flatten(1)
    member = (labels[:, None] == torch.arange(classes, device=labels.device)).to(flat.dtype)
    counts = member.sum(0)
    means = (member.T @ flat) / counts.clamp_min(1)[:, None]
    present = (counts > 0).to(flat.dtype)
    share = present / present.sum()
    between = share @ (means - share @ means).square().mean(1)
    within = ((flat - means[labels]).square().mean(1) / counts[labels]).sum()
    return between / (within + eps)
