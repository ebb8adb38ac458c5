"""Controls that prune without looking at the target and recover on the source."""

from __future__ import annotations

from abc import abstractmethod

from pydantic import Field
from torch import Tensor

from ntprune.engine import Batches, generator, reestimate_batchnorm, train
from ntprune.methods.base import Method
from ntprune.methods.defence import Defence, Outcome
from ntprune.methods.settings import PruningSettings
from ntprune.sparsity import MaskSet


class SourceOnlySettings(PruningSettings):
    """Settings of the source-only controls.

    Attributes:
        steps: optimiser steps of fine-tuning on the source; as many as the defence had.
        lr: peak learning rate of AdamW.
    """

    sparsity: float = Field(default=0.98, ge=0, lt=1)
    steps: int = Field(default=1000, ge=1)
    lr: float = Field(default=2e-3, gt=0)


class SourceOnly(Method):
    """One mask, then masked fine-tuning on the source. Subclasses choose the mask.

    Nothing is kept of a run that is stopped: it is a small part of what the defence takes, and the
    same command begins anew and ends with the same bytes.
    """

    reference = "control"
    Settings = SourceOnlySettings
    settings: SourceOnlySettings

    def run(self, work: Defence) -> Outcome:
        """Prune at once and fine-tune for `steps`."""
        masks = MaskSet(dict(zip(work.model.prunable(), self.choose(work), strict=True)))
        steps = self.settings.steps
        train(
            work.model,
            self.batches(work, "source"),
            steps,
            lr=self.settings.lr,
            prepare=lambda opt: masks.attach(work.model.module, opt),
            every=max(1, steps // 10),
            on_step=lambda step: work.progress(f"{self.name} control", step, steps),
        )
        reestimate_batchnorm(work.model, work.train)
        return Outcome(masks, steps)

    @abstractmethod
    def choose(self, work: Defence) -> list[Tensor]:
        """Bool masks (True keeps) of `settings.sparsity`, one for each prunable weight."""

    def batches(self, work: Defence, role: str) -> Batches:
        """Source images; each role has an order of its own."""
        draw = generator(work.seed, self.name, role)
        return Batches(work.train, self.settings.batch, draw, shift=work.shift, flip=work.flip)
