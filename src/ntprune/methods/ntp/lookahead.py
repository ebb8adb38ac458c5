"""Protection against a thief who fine-tunes the release, by simulating one.

First order: the gradient of the target terms is taken at points along a short fine-tuning
of a copy, with the mask or without, and applied to the released weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ntprune.engine import Batches, generator
from ntprune.methods.defence import TargetData
from ntprune.methods.ntp.levels import Grown
from ntprune.methods.ntp.thieves import Thieves
from ntprune.models import Model
from ntprune.objectives import clamped_cross_entropy, fisher_ratio
from ntprune.sparsity import MaskSet


class Lookahead:
    """Simulated thefts by thieves of one target (`Thieves`).

    Args:
        model: the released model on its way, whose parameters `gradient` speaks of.
        target: the defender's slice of the target.
        batch: images a step.
        depth: optimiser steps of a simulated thief whose samples fill a batch; one with fewer gets
            further in proportion, up to 40 steps.
        every: a gradient is taken `depth // every` times on the way, after equally many steps.
        clamp: ceiling of the cross-entropy that is maximised, in nats.
        rebases: whether every second thief without a fresh stage rebases BatchNorm.
        seed: of every draw.
    """

    DEEPEST = 40

    def __init__(
        self,
        model: Model,
        target: TargetData,
        *,
        batch: int,
        depth: int,
        every: int,
        clamp: float,
        rebases: bool,
        seed: int,
    ) -> None:
        self.target = target
        self.batch = batch
        self.depth = depth
        self.every = every
        self.clamp = clamp
        self._draw = generator(seed, "lookahead", target.name)
        self._fresh = Batches(target.train, 2 * batch, self._draw)
        self.thieves = Thieves(model, target, rebases=rebases, seed=seed, draw=self._draw)

    def gradient(
        self, alpha: float, fisher: float, masks: MaskSet, grown: Sequence[Grown]
    ) -> list[Tensor | None]:
        """The gradient of `fisher·F - alpha·min(CE, clamp)` averaged along one simulated theft.

        Args:
            alpha, fisher: weights of the two terms.
            masks: of the release; a polite thief keeps them.
            grown: layers that will be shortened before the release.

        Returns:
            One entry for each parameter of the model's module, `None` where the thief's parameter
            is not the model's (a new head, a fresh stage).
        """
        thief = self.thieves.next(grown)
        model = thief.model
        optimiser = torch.optim.AdamW(
            model.module.parameters(), lr=thief.rate, weight_decay=5e-4, fused=True
        )
        if thief.polite:
            masks.attach(model.module, optimiser)
        batches = Batches(thief.samples, self.batch, self._draw)
        total: list[Tensor] = [torch.zeros_like(p) for p in thief.shared]
        model.module.train()
        looks = self._looks(batches.size)
        for step in range(1, max(looks) + 1):
            images, labels = batches.next()
            loss = F.cross_entropy(model(images), labels)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            if step in looks:
                images, labels = self._fresh.next()
                features = model.encode(images)
                away = clamped_cross_entropy(model.head(features), labels, self.clamp)
                ratio = fisher_ratio(features, labels, len(self.target.classes))
                grads = torch.autograd.grad(
                    fisher * ratio - alpha * away,
                    thief.shared,
                    allow_unused=True,
                    materialize_grads=True,
                )
                torch._foreach_add_(total, list(grads))
        torch._foreach_div_(total, float(len(looks)))
        # A thief whose training diverged has nothing to say of the release.
        sound = torch.stack([part.isfinite().all() for part in total]).all()
        total = [torch.where(sound, part, 0.0) for part in total]
        return thief.of_release(total)

    def state_dict(self) -> dict[str, Any]:
        """The thefts to come: all draws are the generator's that these batches are saved with."""
        return {"fresh": self._fresh.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict` of the same target."""
        self._fresh.load_state_dict(state["fresh"])

    def _looks(self, batch: int) -> set[int]:
        """Steps after which a gradient is taken; the last is the end of the theft.

        A thief with few samples takes small batches, and so gets further for the same cost, as it
        does in earnest: it has as many steps as one with many.
        """
        steps = min(self.DEEPEST, max(self.depth, self.depth * self.batch // batch))
        count = self.depth // self.every
        return {steps * (i + 1) // count for i in range(count)}
