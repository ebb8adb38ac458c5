"""The outer iterations, their stopping rule, and what is released at their end."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from ntprune.engine import Resident, generator, reestimate_batchnorm
from ntprune.errors import LayerCollapseError, TrainingDivergedError
from ntprune.methods.base import Defence, Outcome
from ntprune.methods.paper.head import PaperHead
from ntprune.methods.paper.settings import PaperSettings
from ntprune.methods.paper.w_step import Losses, WStep
from ntprune.sparsity import MaskSet, Residuals, ShrinkingADMM


def stops(settings: PaperSettings, number: int, change: float, sparsity: float) -> bool:
    """Whether the authors end after iteration `number` (from 1), apart from their cap.

    Args:
        change: of the mean loss since the iteration before.
        sparsity: masked share after the update.
    """
    return number > settings.settle and (
        abs(change) < settings.tolerance or sparsity > settings.sparsity
    )


class Iterations:
    """W-step, Z- and U-step and new masks, one after the other.

    Attributes:
        done: iterations behind us.
        ended: whether there is no other.
    """

    def __init__(self, settings: PaperSettings, work: Defence) -> None:
        self.settings = settings
        self.work = work
        model = work.model
        learning = {n: p for n, p in model.encoder_parameters() if p.requires_grad}
        every = learning if settings.prune_normalisation else model.prunable()
        self.pruned = {name: p for name, p in every.items() if name in learning}
        self.admm = ShrinkingADMM(
            list(self.pruned.values()),
            settings.tau,
            settings.rho,
            squared=settings.squared_penalty,
            returning=settings.masks_return,
            forget=settings.forget_pruned_dual,
            adapt=2.0 if settings.adapt_rho else 1.0,
        )
        self.heads = [
            PaperHead(model, target, settings, work.seed + i)
            for i, target in enumerate(work.targets)
        ]
        self.w_step = WStep(
            model,
            self.heads,
            list(learning.values()),
            self.admm,
            [_share(work.train, settings.source_share), *(t.train for t in work.targets)],
            settings,
            generator(work.seed, "paper", "order"),
        )
        self.done = 0
        self.ended = False
        self._before = math.inf
        self._satisfied = self.admm.support

    def advance(self) -> float:
        """One iteration.

        Returns:
            The masked share of what is pruned, 0 to 1.

        Raises:
            TrainingDivergedError: the loss is not finite.
            LayerCollapseError: no prunable weight is left.
        """
        if self.done == 0 or self.settings.refit_target_head:
            for head in self.heads:
                head.fit(self.work.model)
        self.done += 1
        self._satisfied = self.admm.support
        losses = self.w_step.run()
        if not math.isfinite(losses.total):
            raise TrainingDivergedError(
                f"the loss of the paper preset became {losses.total} in iteration {self.done}: "
                "lower its lr, alpha or fisher"
            )
        residuals = self.admm.update()
        sparsity = self._masked()
        self._record(losses, residuals, sparsity)
        change, self._before = losses.total - self._before, losses.total
        self.ended = self.done >= self.settings.iterations or stops(
            self.settings, self.done, change, sparsity
        )
        return sparsity

    @torch.no_grad()
    def outcome(self) -> Outcome:
        """The masks that the released weights satisfy, over everything that was pruned."""
        if self.settings.release_z:
            torch._foreach_copy_(self.admm.weights, self.admm.z)
        last = self.settings.release_z or self.settings.apply_last_mask
        chosen = self.admm.masks() if last else [support.bool() for support in self._satisfied]
        model = self.work.model
        # A prunable weight that does not learn is not pruned either.
        masks = {n: torch.ones_like(p, dtype=torch.bool) for n, p in model.prunable().items()}
        masks |= dict(zip(self.pruned, chosen, strict=True))
        if self.settings.source_statistics:
            MaskSet(masks).apply_(model.module)
            reestimate_batchnorm(model, self.work.train)
        return Outcome(MaskSet(masks), self.w_step.steps)

    def state_dict(self) -> dict[str, Any]:
        """All that the rest of the run depends on, and what it releases."""
        return {
            "done": self.done,
            "ended": self.ended,
            "before": self._before,
            "satisfied": self._satisfied,
            "model": self.work.model.module.state_dict(),
            "heads": [head.state_dict() for head in self.heads],
            "admm": self.admm.state_dict(),
            "w_step": self.w_step.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict` of the same work."""
        self.done, self.ended = state["done"], state["ended"]
        self._before = state["before"]
        self._satisfied = [s.to(self.work.device) for s in state["satisfied"]]
        self.work.model.module.load_state_dict(state["model"])
        for head, saved in zip(self.heads, state["heads"], strict=True):
            head.load_state_dict(saved)
        self.admm.load_state_dict(state["admm"])
        self.w_step.load_state_dict(state["w_step"])

    def _masked(self) -> float:
        kept: list[int] = torch.stack([mask.sum() for mask in self.admm.masks()]).tolist()
        alive = dict(zip(self.pruned, kept, strict=True))
        if not any(alive.get(name) for name in self.work.model.prunable()):
            raise LayerCollapseError(
                f"no weight is above the threshold tau / rho = {self.settings.tau:g} / "
                f"{self.settings.rho:g} of the paper preset: lower tau or raise rho"
            )
        return 1 - sum(kept) / sum(p.numel() for p in self.pruned.values())

    def _record(self, losses: Losses, residuals: Residuals, sparsity: float) -> None:
        self.work.history.append(
            {
                "phase": "admm",
                "step": self.w_step.steps,
                "loss": losses.total,
                "source_loss": losses.source,
                "target_loss": losses.target,
                "fisher": losses.fisher,
                "sparsity": sparsity,
                "primal": residuals.primal,
                "dual": residuals.dual,
                "rho": residuals.rho,
            }
        )


def _share(data: Resident, share: float) -> Resident:
    """The first images of an order that is random already; two at least, for BatchNorm."""
    return data.take(torch.arange(max(2, round(share * len(data)))))
