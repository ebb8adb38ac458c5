"""What the authors minimise in a W-step, and how."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ntprune.engine import Resident
from ntprune.engine.loop import make_optimiser
from ntprune.methods.paper.batches import Batch, one_pass
from ntprune.methods.paper.head import PaperHead
from ntprune.methods.paper.settings import PaperSettings
from ntprune.models import Model
from ntprune.objectives import clamped_cross_entropy, scaled_fisher_ratio
from ntprune.sparsity import ShrinkingADMM


@dataclass(frozen=True)
class Losses:
    """Means over a pass: what is minimised with its penalty, and its parts (nats, and a ratio)."""

    total: float
    source: float
    target: float
    fisher: float


class WStep:
    """E passes over source and targets with Adam on the encoder alone.

    Both heads stand still in eval mode, and the encoder is in train mode, so that each domain's
    batches are normalised by themselves and the running statistics are of all domains.

    Args:
        model: changed in place.
        heads: one for each target.
        parameters: of the encoder, that learn.
        admm: their penalty and support.
        domains: the source's images, then each target's.
        settings: of the preset.
        draw: of the orders of images.

    Attributes:
        steps: optimiser steps taken so far.
    """

    def __init__(
        self,
        model: Model,
        heads: Sequence[PaperHead],
        parameters: Sequence[nn.Parameter],
        admm: ShrinkingADMM,
        domains: Sequence[Resident],
        settings: PaperSettings,
        draw: torch.Generator,
    ) -> None:
        self.model = model
        self.heads = heads
        self.parameters = parameters
        self.admm = admm
        self.domains = domains
        self.settings = settings
        self.steps = 0
        self._draw = draw
        self._optimiser = self._fresh()

    def run(self) -> Losses:
        """One W-step. The support is applied after every optimiser step and not before the first.

        Returns:
            Mean losses of the last pass; not finite if training has diverged.
        """
        if not self.settings.keep_optimiser:
            self._optimiser = self._fresh()
        self.model.module.eval()
        self.model.encoder.train()
        seen: list[Tensor] = []
        for _ in range(self.settings.epochs):
            batches = one_pass(self.domains, self.settings.batch, self._draw)
            seen = [self._step(*parts) for parts in batches]
            self.steps += len(seen)
        return Losses(*torch.stack(seen).mean(0).tolist())

    def state_dict(self) -> dict[str, Any]:
        """What a next W-step depends on, apart from model, heads and ADMM."""
        return {
            "steps": self.steps,
            "draw": self._draw.get_state(),
            "optimiser": self._optimiser.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`."""
        self.steps = state["steps"]
        self._draw.set_state(state["draw"])
        self._optimiser.load_state_dict(state["optimiser"])

    def _step(self, source: Batch, *targets: Batch) -> Tensor:
        images, labels = source
        kept = F.cross_entropy(self.model(images), labels)
        away, parts = self._away(targets)
        loss = kept + away
        # The source's head is not the optimiser's, and gets gradients all the same.
        self.model.module.zero_grad(set_to_none=True)
        loss.backward()
        total = loss.detach() + self.admm.penalty()
        self.admm.pull()
        self._optimiser.step()
        self.admm.hold()
        return torch.stack((total, kept.detach(), *parts))

    def _away(self, batches: Sequence[Batch]) -> tuple[Tensor, Tensor]:
        """λ·S_B/S_W − α·min(CE, c), the mean over the targets; and mean CE and ratio, detached."""
        terms, parts = [], []
        for (images, labels), head in zip(batches, self.heads, strict=True):
            features = self.model.encode(images)
            lost = clamped_cross_entropy(head(features), labels, self.settings.clamp)
            ratio = scaled_fisher_ratio(features, labels, head.classes)
            terms.append(self.settings.fisher * ratio - self.settings.alpha * lost)
            parts.append(torch.stack((lost.detach(), ratio.detach())))
        return torch.stack(terms).mean(), torch.stack(parts).mean(0)

    def _fresh(self) -> torch.optim.Optimizer:
        return make_optimiser(self.parameters, "adam", self.settings.lr, self.settings.weight_decay)
