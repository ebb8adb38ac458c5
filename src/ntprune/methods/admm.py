"""The control that prunes as `ntp` does, but for the source alone.

Zhang, Ye, Zhang, Tang, Wen, Fardad, Wang: A Systematic DNN Weight Pruning Framework using
Alternating Direction Method of Multipliers, ECCV 2018 (arXiv 1804.03294).
"""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from ntprune.engine import train
from ntprune.methods.defence import Defence, Outcome
from ntprune.methods.registry import method
from ntprune.methods.source_only import SourceOnly, SourceOnlySettings
from ntprune.sparsity import ADMM, GlobalMagnitude, cubic


class ADMMSettings(SourceOnlySettings):
    """Settings of `admm`.

    Attributes:
        rounds: outer ADMM rounds, over which sparsity rises as in `ntp`.
        inner: optimiser steps of a W-step.
        rho: initial ADMM penalty weight.
        ceiling: highest sparsity of a single layer.
    """

    rounds: int = Field(default=15, ge=1)
    inner: int = Field(default=30, ge=1)
    rho: float = Field(default=0.1, gt=0)
    ceiling: float = Field(default=0.998, gt=0, lt=1)


@method
class SourceADMM(SourceOnly):
    """ADMM rounds on the source loss, then masked fine-tuning on the source."""

    name = "admm"
    summary = "ADMM pruning on the source loss, fine-tuned on the source only"
    Settings = ADMMSettings
    settings: ADMMSettings

    def run(self, work: Defence) -> Outcome:
        """The rounds count as steps, too."""
        outcome = super().run(work)
        return Outcome(outcome.masks, self.settings.rounds * self.settings.inner + outcome.steps)

    def choose(self, work: Defence) -> list[Tensor]:
        """The support that the rounds end with; the weights are left where they came to."""
        settings = self.settings
        weights = list(work.model.prunable().values())
        projection = GlobalMagnitude(settings.ceiling)
        projection.masks(weights, settings.sparsity)  # fails now rather than after the rounds
        admm = ADMM(weights, projection, settings.rho)
        batches = self.batches(work, "rounds")
        for number in range(1, settings.rounds + 1):
            train(
                work.model,
                batches,
                settings.inner,
                lr=settings.lr,
                schedule="constant",
                prepare=lambda opt: opt.register_step_pre_hook(lambda *_: admm.pull()),
            )
            sparsity = cubic(number, settings.rounds, settings.sparsity)
            left = admm.update(sparsity)
            work.history.append(
                {
                    "phase": "admm",
                    "step": number * settings.inner,
                    "sparsity": sparsity,
                    "primal": left.primal,
                    "dual": left.dual,
                    "rho": left.rho,
                }
            )
            work.progress("ADMM rounds", number, settings.rounds)
        return admm.masks()
