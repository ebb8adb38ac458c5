"""Parameters drawn anew."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn

_NEUTRAL = {"weight": 1.0, "bias": 0.0, "running_mean": 0.0, "running_var": 1.0}


@torch.no_grad()
def forget(net: nn.Module) -> None:
    """Draw all parameters of `net` anew, from torch's global generators, and reset its statistics.

    Training from scratch must start with nothing that was learnt. A layer's own rule is used
    (`reset_parameters`); a parameter that it leaves as it was, or that has none, keeps its level
    and spread alone. Rules know their layer's parameters by name and miss those that
    `torch.nn.utils.weight_norm` or a subclass has put in their place.
    """
    for layer in net.modules():
        own = list(layer.parameters(recurse=False))
        reset = getattr(layer, "reset_parameters", getattr(layer, "_reset_parameters", None))
        if callable(reset):
            own = _left_by(reset, own)
        else:
            # torchvision's FrozenBatchNorm2d keeps all it has learnt in buffers.
            for name, buffer in layer.named_buffers(recurse=False):
                if name in _NEUTRAL:
                    buffer.fill_(_NEUTRAL[name])
        for parameter in own:
            if parameter.numel() > 1:
                parameter.normal_(parameter.mean().item(), parameter.std().item())


def _left_by(reset: Callable[[], object], parameters: list[nn.Parameter]) -> list[nn.Parameter]:
    """Call the rule; those of `parameters` that it has not written, as they were."""
    learnt = [parameter.clone() for parameter in parameters]
    for parameter in parameters:
        parameter.fill_(math.nan)
    reset()
    left = []
    for parameter, old in zip(parameters, learnt, strict=True):
        if parameter.isnan().any():
            parameter.copy_(old)
            left.append(parameter)
    return left
