"""The ADMM rounds, which choose the weights that stay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from ntprune.engine import Resident, reestimate_batchnorm
from ntprune.engine.loop import make_optimiser
from ntprune.methods.ntp.controller import Controller
from ntprune.methods.ntp.run import Run
from ntprune.sparsity import ADMM, GlobalMagnitude, MaskSet, cubic


class Rounds:
    """W-step on the objective, Z-step, U-step, with sparsity rising to its end.

    With support `magnitude` there is none: Z is the projection of the model as given.

    Attributes:
        done: rounds behind us.
        total: rounds in all.

    Raises:
        LayerCollapseError: the sparsity asked for would empty a layer.
    """

    # Source images that a decision inside the rounds is based on; the release is judged on all.
    GLANCE = 2000
    name = "ADMM rounds"

    def __init__(self, run: Run) -> None:
        self.run = run
        self.prunable = run.model.prunable()
        weights = list(self.prunable.values())
        self.projection = GlobalMagnitude(run.settings.ceiling)
        self.projection.masks(weights, run.settings.sparsity)  # fails now, not after an hour
        self.admm = ADMM(weights, self.projection, run.settings.rho)
        self.glance = self._glance(run.work.validation)
        self.controller = Controller(run.settings.max_source_drop, grain=100 / len(self.glance))
        self.before = run.accuracy(self.glance)
        self.total = run.settings.rounds if run.settings.support == "admm" else 0
        self.done = 0
        if not self.total:
            self.admm.update(run.settings.sparsity)

    def advance(self) -> float:
        """One round."""
        run, settings = self.run, self.run.settings
        self.done += 1
        sparsity = cubic(self.done, self.total, settings.sparsity)
        optimiser = make_optimiser(run.model.module.parameters(), "adamw", settings.lr, 5e-4)
        run.objective.fit_heads()
        parts = run.descend((optimiser,), 1.0, lambda: self._w_step(optimiser))
        residuals = self.admm.update(sparsity)
        with run.average.in_place():
            drop = 100 * (self.before - run.accuracy(self.glance))
        run.record(
            "admm",
            parts,
            drop,
            strength=self.controller.strength,
            sparsity=sparsity,
            primal=residuals.primal,
            dual=residuals.dual,
            rho=residuals.rho,
        )
        self.controller.update(drop)
        return drop

    def masks(self) -> MaskSet:
        """The support of Z, at the sparsity asked for also where more of Z is zero."""
        masks = self.projection.masks(self.admm.z, self.run.settings.sparsity)
        return MaskSet(dict(zip(self.prunable, masks, strict=True)))

    @torch.no_grad()
    def settle(self) -> None:
        """Give the pruned weights the values of Z, and BatchNorm statistics that go with them."""
        torch._foreach_copy_(list(self.prunable.values()), self.admm.z)
        reestimate_batchnorm(self.run.model, self.run.work.train)

    def state_dict(self) -> dict[str, Any]:
        """All that the rest of the rounds depends on, apart from the run and the model as given."""
        return {
            "done": self.done,
            "controller": self.controller.state_dict(),
            "admm": self.admm.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`."""
        self.done = state["done"]
        self.controller.load_state_dict(state["controller"])
        self.admm.load_state_dict(state["admm"])

    def _glance(self, validation: Resident) -> Resident:
        """The first images, or all where these lack a class, as of a split sorted by class."""
        first = validation.take(torch.arange(min(self.GLANCE, len(validation))))
        seen, present = (part.labels.unique() for part in (first, validation))
        return first if len(seen) == len(present) else validation

    def _w_step(self, optimiser: Optimizer) -> Tensor:
        """Steps on the objective plus the pull towards Z; the mean of the loss parts."""
        run = self.run
        run.objective.shares.hear([-reached for reached in run.objective.reached])
        seen = []
        for _ in range(run.settings.inner):
            source = run.objective.keep()
            away, parts = run.objective.away()
            optimiser.zero_grad(set_to_none=True)
            (source + self.controller.strength * away).backward()
            self.admm.pull()
            optimiser.step()
            run.average.update()
            seen.append(torch.cat((source.detach()[None], parts)))
        run.steps += run.settings.inner
        return torch.stack(seen).mean(0)
