"""The ADMM rounds, which choose the weights that stay."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.optim import Optimizer

from ntprune.engine.loop import make_optimiser
from ntprune.methods.ntp.controller import Controller
from ntprune.methods.ntp.run import Run
from ntprune.sparsity import ADMM, GlobalMagnitude, MaskSet, cubic


class Rounds:
    """W-step on the objective, Z-step, U-step, with sparsity rising to its end.

    Attributes:
        done: rounds behind us.

    Raises:
        LayerCollapseError: the sparsity asked for would empty a layer.
    """

    # Source images that a decision inside the rounds is based on; the release is judged on all.
    GLANCE = 2000

    def __init__(self, run: Run) -> None:
        self.run = run
        self.prunable = run.model.prunable()
        weights = list(self.prunable.values())
        projection = GlobalMagnitude(run.settings.ceiling)
        projection.masks(weights, run.settings.sparsity)  # fails now rather than after an hour
        self.admm = ADMM(weights, projection, run.settings.rho)
        self.controller = Controller(run.settings.max_source_drop)
        validation = run.work.validation
        self.glance = validation.take(torch.arange(min(self.GLANCE, len(validation))))
        self.before = run.accuracy(self.glance)
        self.done = 0

    def advance(self) -> None:
        """One round."""
        run, settings = self.run, self.run.settings
        self.done += 1
        sparsity = cubic(self.done, settings.rounds, settings.sparsity)
        optimiser = make_optimiser(run.model.module.parameters(), "adamw", settings.lr, 5e-4)
        parts = run.descend((optimiser,), 1.0, lambda: self._w_step(optimiser))
        residuals = self.admm.update(sparsity)
        with run.average.in_place():
            drop = 100 * (self.before - run.accuracy(self.glance))
        run.record(
            "admm",
            parts,
            drop,
            self.controller.strength,
            sparsity=sparsity,
            primal=residuals.primal,
            dual=residuals.dual,
            rho=residuals.rho,
        )
        self.controller.update(drop)
        run.work.progress("ADMM rounds", self.done, settings.rounds, f"drop {drop:.2f} pp")

    def masks(self) -> MaskSet:
        """The support of Z."""
        return MaskSet(dict(zip(self.prunable, self.admm.masks(), strict=True)))

    @torch.no_grad()
    def settle(self) -> None:
        """Give the pruned weights the values of Z."""
        torch._foreach_copy_(list(self.prunable.values()), self.admm.z)

    def _w_step(self, optimiser: Optimizer) -> Tensor:
        """Steps on the objective plus the pull towards Z; the mean of the loss parts."""
        run = self.run
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
