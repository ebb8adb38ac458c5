"""Parameters drawn anew."""

from __future__ import annotations

import torch
from torch import Tensor, nn


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
            learnt = [parameter.clone() for parameter in own]
            reset()
            own = [p for p, old in zip(own, learnt, strict=True) if _left(p, old)]
        for parameter in own:
            if parameter.numel() > 1:
                parameter.normal_(parameter.mean().item(), parameter.std().item())


def _left(parameter: Tensor, old: Tensor) -> bool:
    """Whether a rule has not touched what was learnt; ones and zeros are none of it."""
    return torch.equal(parameter, old) and bool((parameter != parameter.flatten()[0]).any())
