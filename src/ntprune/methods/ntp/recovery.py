"""What pruning alone cost the source is won back before the finish begins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ntprune.engine.loop import make_optimiser
from ntprune.methods.ntp.controller import Controller
from ntprune.methods.ntp.run import Run
from ntprune.sparsity import MaskSet


class Recovery:
    """Source steps under a fixed mask until the drop is what the finish aims at, or `MOST` checks.

    What the rounds measure is the network before its mask; where their weights are far from Z yet,
    the masked one has lost much more.

    The controller of the finish takes every drop for the push's doing. Where that of a freshly
    pruned network is still large, it would cut the push, and raise it again too late.

    Args:
        run: where the rounds left it.
        masks: the weights that stay.

    Attributes:
        done: checks behind us.
        total: checks in all; falls to `done` with the first that is inside the aim, and to none
            with `look`.
    """

    name = "recovery"
    MOST = 10

    def __init__(self, run: Run, masks: MaskSet) -> None:
        self.run = run
        self.masks = masks
        settings = run.settings
        parameters = list(run.model.module.parameters())
        self.optimiser = make_optimiser(parameters, "adamw", settings.lr, 5e-4)
        masks.attach(run.model.module, self.optimiser)
        run.average.restart()
        self.aim = Controller(settings.max_source_drop, grain=100 / len(run.work.validation)).within
        self.total = self.MOST
        self.done = 0

    def look(self) -> None:
        """Measure what the mask has cost, and give up on steps where it is inside the aim.

        BatchNorm's statistics are those of the masked network from here on.
        """
        run = self.run
        with run.average.in_place():
            self.masks.apply_(run.model.module)
            drop = 100 * (run.work.before - run.accuracy(run.work.validation))
        if drop <= self.aim:
            self.total = 0

    def advance(self) -> float:
        """As many source steps as are between two checks of the finish, and the check."""
        run, work = self.run, self.run.work
        parts = run.descend((self.optimiser,), 1.0, self._source_steps)
        self.done += 1
        with run.average.in_place():
            drop = 100 * (work.before - run.accuracy(work.validation))
        run.record(self.name, parts, drop, sparsity=self.masks.sparsity)
        if drop <= self.aim:
            self.total = self.done
        return drop

    def state_dict(self) -> dict[str, Any]:
        """All that the rest depends on, apart from the run."""
        return {
            "masks": dict(self.masks),
            "done": self.done,
            "total": self.total,
            "optimiser": self.optimiser.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`; its masks are those of the constructor."""
        self.done, self.total = state["done"], state["total"]
        self.optimiser.load_state_dict(state["optimiser"])

    def _source_steps(self) -> Tensor:
        settings = self.run.settings
        steps = settings.recover * max(1, settings.finish // settings.checks)
        seen = [self.run.recover(self.optimiser) for _ in range(steps)]
        return torch.stack(seen).mean(0, keepdim=True)
