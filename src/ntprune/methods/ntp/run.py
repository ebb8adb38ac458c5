"""What the phases of the method share."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.optim import Optimizer

from ntprune.engine import AveragedWeights, Resident, accuracy, reestimate_batchnorm
from ntprune.errors import TrainingDivergedError
from ntprune.methods.defence import Defence
from ntprune.methods.ntp.objective import Objective
from ntprune.methods.ntp.settings import NTPSettings


class Phase(Protocol):
    """A part of the run that goes on in units and can be taken up again after any of them."""

    name: str
    done: int
    total: int

    def advance(self) -> float:
        """One unit more; returns the drop of source accuracy (percentage points) after it."""

    def state_dict(self) -> dict[str, Any]:
        """All that the rest of the phase depends on, apart from the run."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict` of the same phase."""


class Run:
    """The model on its way, its average, and what it has cost so far.

    Attributes:
        steps: optimiser steps taken.
        diverged: whether the loss has been non-finite once.
    """

    PARTS = ("source_loss", "target_loss", "fisher")

    def __init__(self, settings: NTPSettings, work: Defence) -> None:
        self.settings = settings
        self.work = work
        self.model = work.model
        self.objective = Objective(settings, work)
        self.average = AveragedWeights(self.model.module, settings.average)
        self.steps = 0
        self.diverged = False

    def complete(self, phase: Phase, saved: dict[str, Any]) -> None:
        """Go through `phase` to its end, from where `saved` is if it is of this phase.

        Args:
            phase: one of the method's.
            saved: what `Defence.resume` returned; emptied once it is put back.
        """
        if phase.name in saved:
            phase.load_state_dict(saved[phase.name])
            self.load_state_dict(saved["run"])
            saved.clear()
            self.work.progress(phase.name, phase.done, phase.total, "taken up again")
        while phase.done < phase.total:
            drop = phase.advance()
            self.work.save({"run": self.state_dict(), phase.name: phase.state_dict()})
            self.work.progress(phase.name, phase.done, phase.total, f"drop {drop:.2f} pp")

    def descend(
        self, optimisers: tuple[Optimizer, ...], scale: float, walk: Callable[[], Tensor]
    ) -> Tensor:
        """Take the steps of `walk` and return what it does, the first or all of `PARTS`.

        Where a loss or a weight is not finite, all is rolled back once and tried again at a third
        of the learning rate.

        Args:
            optimisers: of the walk; the first gets the learning rate of the settings.
            scale: factor on that learning rate.
            walk: takes the steps.

        Raises:
            TrainingDivergedError: a loss or a weight was non-finite a second time.
        """
        good = copy.deepcopy(self.model.module.state_dict())
        while True:
            for group in optimisers[0].param_groups:
                group["lr"] = self.settings.lr * scale * (0.3 if self.diverged else 1.0)
            self.model.module.train()
            parts = walk()
            made = (parts, *self.model.module.parameters())
            if torch.stack([each.isfinite().all() for each in made]).all():
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

    def recover(self, optimiser: Optimizer) -> Tensor:
        """One step on the source alone; returns its loss (nats)."""
        loss = self.objective.recover()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        self.average.update()
        self.steps += 1
        return loss.detach()

    def state_dict(self) -> dict[str, Any]:
        """Where the model is and what it has cost."""
        return {
            "model": self.model.module.state_dict(),
            "objective": self.objective.state_dict(),
            "average": self.average.state_dict(),
            "steps": self.steps,
            "diverged": self.diverged,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict` of the same work."""
        self.model.module.load_state_dict(state["model"])
        self.objective.load_state_dict(state["objective"])
        self.average.load_state_dict(state["average"])
        self.steps = state["steps"]
        self.diverged = state["diverged"]

    def accuracy(self, data: Resident) -> float:
        """Accuracy (0 to 1) on `data` with BatchNorm statistics of the source alone."""
        reestimate_batchnorm(self.model, self.work.train)
        return accuracy(self.model, data)

    def record(self, phase: str, parts: Tensor, drop: float, **more: float) -> None:
        """Append to the history what a round or a check found; `parts` as of `descend`."""
        losses = dict(zip(self.PARTS, parts.tolist(), strict=False))
        entry = {"phase": phase, "step": self.steps} | losses | {"drop_pp": drop} | more
        self.work.history.append(entry)
