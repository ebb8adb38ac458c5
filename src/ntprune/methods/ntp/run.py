"""What the rounds and the finish share."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor
from torch.optim import Optimizer

from ntprune.engine import AveragedWeights, Resident, accuracy, reestimate_batchnorm
from ntprune.errors import TrainingDivergedError
from ntprune.methods.base import Defence
from ntprune.methods.ntp.objective import Objective
from ntprune.methods.ntp.settings import NTPSettings


class Run:
    """The model on its way, its average, and what it has cost so far.

    Attributes:
        steps: optimiser steps taken.
        diverged: whether the loss has been non-finite once.
    """

    def __init__(self, settings: NTPSettings, work: Defence) -> None:
        self.settings = settings
        self.work = work
        self.model = work.model
        self.objective = Objective(settings, work)
        self.average = AveragedWeights(self.model.module, settings.average)
        self.steps = 0
        self.diverged = False

    def descend(
        self, optimisers: tuple[Optimizer, ...], scale: float, walk: Callable[[], Tensor]
    ) -> Tensor:
        """Fit the heads, then `walk`, whose mean loss parts (source, target, Fisher) it returns.

        A non-finite loss is rolled back once and tried again at a third of the learning rate.

        Args:
            optimisers: of the walk; the first gets the learning rate of the settings.
            scale: factor on that learning rate.
            walk: takes the steps.

        Raises:
            TrainingDivergedError: the loss was non-finite a second time.
        """
        self.objective.fit_heads()
        good = copy.deepcopy(self.model.module.state_dict())
        while True:
            for group in optimisers[0].param_groups:
                group["lr"] = self.settings.lr * scale * (0.3 if self.diverged else 1.0)
            self.model.module.train()
            parts = walk()
            if torch.isfinite(parts).all():
                return parts
            if self.diverged:
                raise TrainingDivergedError(
                    "the loss became non-finite twice, also at a third of the learning rate: "
                    "lower the method's lr, alpha or fisher"
                )
            self.diverged = True
            self.model.module.load_state_dict(good)
            for optimiser in optimisers:
                optimiser.state.clear()  # its moments are not finite either
            self.average.restart()

    def accuracy(self, data: Resident) -> float:
        """Accuracy (0 to 1) on `data` with BatchNorm statistics of the source alone."""
        reestimate_batchnorm(self.model, self.work.train)
        return accuracy(self.model, data)

    def record(
        self, phase: str, parts: Tensor, drop: float, strength: float, **more: float
    ) -> None:
        """Append to the history what a round or a check found."""
        source, target, fisher = parts.tolist()
        self.work.history.append(
            {
                "phase": phase,
                "step": self.steps,
                "source_loss": source,
                "target_loss": target,
                "fisher": fisher,
                "drop_pp": drop,
                "strength": strength,
            }
            | more
        )
