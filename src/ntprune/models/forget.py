"""Parameters drawn anew."""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def forget(net: nn.Module) -> None:
    """Draw all parameters of `net` anew, from torch's global generators, and reset its statistics.

    Training from scratch must start with nothing that was learnt. A layer's own rule is used
    (`reset_parameters`); a parameter without one keeps its level and spread alone.
    """
    for layer in net.modules():
        reset = getattr(layer, "reset_parameters", getattr(layer, "_reset_parameters", None))
        if callable(reset):
            reset()
            continue
        for parameter in layer.parameters(recurse=False):
            if parameter.numel() > 1:
                parameter.normal_(parameter.mean().item(), parameter.std().item())
