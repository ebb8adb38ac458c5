"""Weights averaged along a run of training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class AveragedWeights:
    """An exponential moving average of a module's parameters.

    An average measures where training stands as if the learning rate had already come down, so
    that decisions taken in mid-training aren't driven by the noise of single steps.

    Args:
        module: whose parameters are followed.
        decay: weight of the past at each update, in [0, 1).
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self._live = [p.detach() for p in module.parameters()]
        self._mean = [p.clone() for p in self._live]
        self._updates = 0

    @torch.no_grad()
    def update(self) -> None:
        """Take in the current parameters."""
        self._updates += 1
        # Early on the plain mean of what was seen, so that the start is forgotten at once.
        weight = max(1 - self.decay, 1 / self._updates)
        if weight == 1:
            # What was not a number would remain one under any weight.
            torch._foreach_copy_(self._mean, self._live)
        else:
            torch._foreach_lerp_(self._mean, self._live, weight)

    def restart(self) -> None:
        """Forget the past."""
        self._updates = 0

    def state_dict(self) -> dict[str, Any]:
        """The average and how much it has taken in."""
        return {"mean": self._mean, "updates": self._updates}

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict` of the same module."""
        torch._foreach_copy_(self._mean, state["mean"])
        self._updates = state["updates"]

    @contextmanager
    @torch.no_grad()
    def in_place(self) -> Iterator[list[Tensor]]:
        """The module holds the average inside the block and its own parameters after it."""
        own = [p.clone() for p in self._live]
        torch._foreach_copy_(self._live, self._mean)
        try:
            yield self._mean
        finally:
            torch._foreach_copy_(self._live, own)
