"""How much each of several targets counts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ntprune.errors import SettingsError
from ntprune.methods.defence import TargetData
from ntprune.methods.ntp.settings import NTPSettings


class Shares:
    """Splits what is done against thieves between the targets.

    With `combine` mean the shares are the given weights. With worst they follow the thieves: the
    softmax of how far each last got, so that the target that is stolen most easily gets most.

    How far a thief got is measured as a share of what guessing costs, -1 (guesses) to 0 (knows
    every label): nats of targets with 3 and with 10 classes don't compare.

    Args:
        settings: `combine` and `weights`.
        targets: what is protected against.

    Attributes:
        now: the shares, positive, with sum 1.

    Raises:
        SettingsError: another number of weights than of targets.
    """

    # A thief ahead by this much gets its target e times the share.
    TEMPERATURE = 0.1

    def __init__(self, settings: NTPSettings, targets: Sequence[TargetData]) -> None:
        count = len(targets)
        if settings.weights and len(settings.weights) != count:
            raise SettingsError(
                f"setting weights: found {len(settings.weights)} for {count} target(s) "
                f"({', '.join(t.name for t in targets)}): give one for each, in their order"
            )
        weights = settings.weights or (1.0,) * count
        self.now = tuple(weight / sum(weights) for weight in weights)
        self._worst = settings.combine == "worst"
        self._guess = tuple(math.log(len(t.classes)) for t in targets)
        self._credit = [0.0] * count

    def mix(self, terms: Sequence[Tensor]) -> Tensor:
        """The mean of one term a target, each counting with its share."""
        return torch.stack([share * term for share, term in zip(self.now, terms, strict=True)]).sum(
            0
        )

    def turn(self) -> int:
        """The target whose turn it is: each comes as often as its share says, evenly spread."""
        self._credit = [have + share for have, share in zip(self._credit, self.now, strict=True)]
        first = self._credit.index(max(self._credit))
        self._credit[first] -= 1
        return first

    def hear(self, thieves: Sequence[float]) -> None:
        """Let the shares follow thieves, if they do at all.

        Args:
            thieves: for each target what a thief reached, negative cross-entropy in nats.
        """
        if self._worst:
            reached = torch.tensor(self._relative(thieves), dtype=torch.float64)
            self.now = tuple(torch.softmax(reached / self.TEMPERATURE, 0).tolist())

    def standing(self, thieves: Sequence[float]) -> float:
        """What the protection is judged by, -1 to 0, less being better: mean or worst target."""
        reached = self._relative(thieves)
        if self._worst:
            return max(reached)
        return sum(share * each for share, each in zip(self.now, reached, strict=True))

    def state_dict(self) -> dict[str, Any]:
        """The shares of the moment, and whose turn is how near."""
        return {"now": self.now, "credit": self._credit}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict` of the same targets."""
        self.now = tuple(state["now"])
        self._credit = list(state["credit"])

    def _relative(self, thieves: Sequence[float]) -> list[float]:
        return [max(-1.0, t / guess) for t, guess in zip(thieves, self._guess, strict=True)]
