"""The run of the preset as a whole."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from ntprune.engine import Resident, generator, reestimate_batchnorm
from ntprune.errors import LayerCollapseError, TrainingDivergedError
from ntprune.methods.base import Method
from ntprune.methods.defence import Defence, Outcome
from ntprune.methods.paper.head import PaperHead
from ntprune.methods.paper.settings import PaperSettings
from ntprune.methods.paper.w_step import Losses, WStep
from ntprune.methods.registry import method
from ntprune.sparsity import MaskSet, Residuals, ShrinkingADMM


@method
class PaperNTP(Method):
    """Non-Transferable Pruning as its authors run it. The source accuracy is not looked at."""

    name = "ntp"
    preset = "paper"
    summary = "ntp as its authors run it: their objective, updates, settings and stopping rule"
    reference = "Ding et al., ECCV 2024 (arXiv 2410.08015)"
    needs_target = True
    Settings = PaperSettings
    settings: PaperSettings

    def run(self, work: Defence) -> Outcome:
        """Fit the target heads, then iterate W-, Z- and U-steps until the stopping rule holds."""
        return _Run(self.settings, work).run()


class _Run:
    """One protection run."""

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
        self.number = 0
        self.ended = False
        self.before = math.inf
        # What the released weights are held to, which the last Z-step no longer is.
        self.satisfied = self.admm.support

    def run(self) -> Outcome:
        saved = self.work.resume()
        if saved:
            self.load_state_dict(saved)
            self._tell("taken up again")
        while not self.ended:
            sparsity = self._iterate()
            self.work.save(self.state_dict())
            self._tell(f"masked {100 * sparsity:.1f} %")
        return self._outcome([support.bool() for support in self.satisfied])

    def state_dict(self) -> dict[str, Any]:
        return {
            "model": self.work.model.module.state_dict(),
            "admm": self.admm.state_dict(),
            "heads": [head.state_dict() for head in self.heads],
            "w_step": self.w_step.state_dict(),
            "satisfied": self.satisfied,
            "number": self.number,
            "ended": self.ended,
            "before": self.before,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.work.model.module.load_state_dict(state["model"])
        self.admm.load_state_dict(state["admm"])
        for head, theirs in zip(self.heads, state["heads"], strict=True):
            head.load_state_dict(theirs)
        self.w_step.load_state_dict(state["w_step"])
        self.satisfied = [support.to(self.work.device) for support in state["satisfied"]]
        self.number, self.ended, self.before = (state[n] for n in ("number", "ended", "before"))

    def _iterate(self) -> float:
        """One iteration; the share of what is pruned that is masked afterwards."""
        self.number += 1
        if self.number == 1 or self.settings.refit_target_head:
            for head in self.heads:
                head.fit(self.work.model)
        self.satisfied = self.admm.support
        losses = self.w_step.run()
        if not math.isfinite(losses.total):
            raise TrainingDivergedError(
                f"the loss of the paper preset became {losses.total} in iteration {self.number}: "
                "lower its lr, alpha or fisher"
            )
        sparsity = self._update(losses)
        change = losses.total - self.before
        capped = self.number == self.settings.iterations
        self.ended = capped or stops(self.settings, self.number, change, sparsity)
        self.before = losses.total
        return sparsity

    def _tell(self, note: str) -> None:
        self.work.progress("iterations", self.number, self.settings.iterations, note)

    def _update(self, losses: Losses) -> float:
        """Z- and U-step; the share of what is pruned that is masked afterwards."""
        residuals = self.admm.update()
        kept: list[int] = torch.stack([mask.sum() for mask in self.admm.masks()]).tolist()
        alive = dict(zip(self.pruned, kept, strict=True))
        if not any(alive.get(name) for name in self.work.model.prunable()):
            raise LayerCollapseError(
                f"no weight is above the threshold tau / rho = {self.settings.tau:g} / "
                f"{self.settings.rho:g} of the paper preset: lower tau or raise rho"
            )
        sparsity = 1 - sum(kept) / sum(p.numel() for p in self.pruned.values())
        self._record(losses, residuals, sparsity)
        return sparsity

    @torch.no_grad()
    def _outcome(self, satisfied: list[torch.Tensor]) -> Outcome:
        """The masks that the released weights satisfy, over everything that was pruned."""
        if self.settings.release_z:
            torch._foreach_copy_(self.admm.weights, self.admm.z)
        ends = self.settings.release_z or self.settings.apply_last_mask
        chosen = self.admm.masks() if ends else satisfied
        model = self.work.model
        # A prunable weight that does not learn is not pruned either.
        masks = dict(MaskSet.keep_all(model.prunable()))
        masks |= dict(zip(self.pruned, chosen, strict=True))
        if self.settings.source_statistics:
            MaskSet(masks).apply_(model.module)
            reestimate_batchnorm(model, self.work.train)
        return Outcome(MaskSet(masks), self.w_step.steps)

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


def stops(settings: PaperSettings, number: int, change: float, sparsity: float) -> bool:
    """Whether the authors end after iteration `number` (from 1), apart from their cap.

    Args:
        change: of the mean loss since the iteration before.
        sparsity: masked share after the update.
    """
    return number > settings.settle and (
        abs(change) < settings.tolerance or sparsity > settings.sparsity
    )


def _share(data: Resident, share: float) -> Resident:
    """The first images of an order that is random already; two at least, for BatchNorm."""
    return data.take(torch.arange(max(2, round(share * len(data)))))
