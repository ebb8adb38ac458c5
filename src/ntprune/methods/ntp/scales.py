"""BatchNorm's scales, kept within the range they came in."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from ntprune.methods.defence import Defence


class Scales:
    """Takes back what a push has done to scales beyond the range of their layer as it was given.

    A push turns channels off by their scale, if it may, and simulated thieves start from there. An
    attacker who puts scales right is not slowed down (docs/experiments/settings.md, 13 and 14).

    Args:
        work: whose model is still as it was given.
    """

    def __init__(self, work: Defence) -> None:
        layers: list[Any] = [m for m in work.model.module.modules() if isinstance(m, _BatchNorm)]
        self._scales = [layer.weight for layer in layers if layer.affine]
        sizes = [scale.detach().abs() for scale in self._scales]
        self._lowest = [size.min().expand_as(size).clone() for size in sizes]
        self._highest = [size.max().expand_as(size).clone() for size in sizes]

    @torch.no_grad()
    def hold(self) -> None:
        """Bring every scale back into the range, its sign as it is."""
        if not self._scales:
            return
        sizes = torch._foreach_abs(self._scales)
        torch._foreach_maximum_(sizes, self._lowest)
        torch._foreach_minimum_(sizes, self._highest)
        torch._foreach_mul_(sizes, torch._foreach_sign(self._scales))
        torch._foreach_copy_(self._scales, sizes)
