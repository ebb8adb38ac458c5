"""Protection against a thief who fine-tunes the release, by simulating one.

First order: the gradient of the target terms is taken at points along a short fine-tuning
of a copy, with the mask or without, and applied to the released weights.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ntprune.domains.blocks import at_once
from ntprune.engine import Batches, Resident, generator, rebase_statistics
from ntprune.methods.base import TargetData
from ntprune.models import Model
from ntprune.objectives import clamped_cross_entropy, fisher_ratio
from ntprune.sparsity import MaskSet


class Lookahead:
    """A simulated thief of one target.

    Each call draws a thief anew: how many samples it has, its learning rate, whether it keeps the
    released head (only where the target's classes are the source's), whether it keeps the mask, and
    whether it first gives BatchNorm the statistics of its own images, scales and shifts making up
    for them, so that it trains the function that is released instead of the one that batches of
    the target would make of it.

    Args:
        model: the released model, whose parameters `gradient` speaks of.
        target: the defender's slice of the target.
        batch: images a step.
        depth: optimiser steps of a simulated thief whose samples fill a batch; one with fewer gets
            further in proportion, up to 40 steps.
        every: a gradient is taken `depth // every` times on the way, after equally many steps.
        clamp: ceiling of the cross-entropy that is maximised, in nats.
        rebases: whether every second thief does the last.
        seed: of every draw.
    """

    LRS = (1e-3, 3e-2)
    FEWEST = 16
    POLITE = 1 / 2
    DEEPEST = 40
    REBASED = 1 / 2
    REBASED_ON = 256  # images

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
        self.model = model
        self.target = target
        self.batch = batch
        self.depth = depth
        self.every = every
        self.clamp = clamp
        self.rebases = rebases
        self.keeps_head = target.classes == model.spec.classes
        self._draw = generator(seed, "lookahead", target.name)
        self._fresh = Batches(target.train, 2 * batch, self._draw)
        self._copy = model.copy()
        self._new = model.new_head(target.classes, seed)
        for thief in (self._copy, self._new):
            thief.module.requires_grad_(True)  # what the owner has frozen, a thief has not

    def gradient(
        self, alpha: float, fisher: float, masks: MaskSet
    ) -> tuple[list[Tensor | None], Tensor]:
        """The gradient of `fisher·F - alpha·min(CE, clamp)` averaged along one simulated theft.

        Args:
            alpha, fisher: weights of the two terms.
            masks: of the release; every second thief keeps them.

        Returns:
            One entry for each parameter of the model's module, `None` where the thief's parameter
            is not the model's (a new head); and the mean cross-entropy on unseen target images
            along the path (nats).
        """
        thief, shared = self._start()
        optimiser = torch.optim.AdamW(
            thief.module.parameters(), lr=self._learning_rate(), weight_decay=5e-4, fused=True
        )
        if float(torch.rand((), generator=self._draw)) < self.POLITE:
            masks.attach(thief.module, optimiser)
        samples = self._samples()
        rebased = self._rebase(thief, samples) if self._rebases_now() else []
        batches = Batches(samples, self.batch, self._draw)
        total: list[Tensor] = [torch.zeros_like(p) for p in shared]
        losses = []
        thief.module.train()
        looks = self._looks(batches.size)
        for step in range(1, max(looks) + 1):
            images, labels = batches.next()
            loss = F.cross_entropy(thief(images), labels)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            if step in looks:
                images, labels = self._fresh.next()
                features = thief.encode(images)
                away = clamped_cross_entropy(thief.head(features), labels, self.clamp)
                ratio = fisher_ratio(features, labels, len(self.target.classes))
                grads = torch.autograd.grad(
                    fisher * ratio - alpha * away, shared, allow_unused=True, materialize_grads=True
                )
                torch._foreach_add_(total, list(grads))
                losses.append(away.detach())
        torch._foreach_div_(total, float(len(losses)))
        found = dict(zip((id(p) for p in shared), total, strict=True))
        for norm, slope, shift in rebased:
            weight, bias = found.get(id(norm.weight)), found.get(id(norm.bias))
            if weight is not None and bias is not None:
                weight.mul_(slope).addcmul_(bias, shift)
        aligned = [found.get(id(p)) for p in thief.module.parameters()]
        return aligned, torch.stack(losses).mean()

    def state_dict(self) -> dict[str, Any]:
        """The thieves to come: their draws, and what the last ones left in the copies."""
        return {"fresh": self._fresh.state_dict(), "left": self._left()}

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict` of the same target."""
        self._fresh.load_state_dict(state["fresh"])  # whose generator is the one of all draws
        for mine, theirs in zip(self._left(), state["left"], strict=True):
            mine.copy_(theirs)

    def _left(self) -> list[Tensor]:
        """All of the two copies that the next theft doesn't overwrite: buffers and the new head."""
        new, inside = self._new, {id(p) for _, p in self._new.encoder_parameters()}
        head = (p for p in new.module.parameters() if id(p) not in inside)
        return [*self._copy.module.buffers(), *new.module.buffers(), *head]

    def _start(self) -> tuple[Model, list[nn.Parameter]]:
        """A thief that starts at the released weights, and those of its parameters it shares."""
        kept = self.keeps_head and bool(torch.rand((), generator=self._draw) < 0.5)
        thief = self._copy if kept else self._new
        pairs = list(zip(thief.module.parameters(), self.model.module.parameters(), strict=True))
        inside = {id(p) for _, p in thief.encoder_parameters()}
        shared = [(mine, theirs) for mine, theirs in pairs if kept or id(mine) in inside]
        if not kept:
            self._reset_head(thief)
        with torch.no_grad():
            torch._foreach_copy_([m for m, _ in shared], [t for _, t in shared])
        return thief, [m for m, _ in shared]

    def _reset_head(self, thief: Model) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(torch.randint(2**31, (), generator=self._draw)))
            for layer in thief.head.modules():
                if isinstance(layer, nn.Linear):
                    layer.reset_parameters()

    def _learning_rate(self) -> float:
        low, high = (math.log(lr) for lr in self.LRS)
        return math.exp(low + (high - low) * float(torch.rand((), generator=self._draw)))

    def _looks(self, batch: int) -> set[int]:
        """Steps after which a gradient is taken; the last is the end of the theft.

        A thief with few samples takes small batches, and so gets further for the same cost, as it
        does in earnest: it has as many steps as one with many.
        """
        steps = min(self.DEEPEST, max(self.depth, self.depth * self.batch // batch))
        count = self.depth // self.every
        return {steps * (i + 1) // count for i in range(count)}

    def _rebases_now(self) -> bool:
        return self.rebases and bool(torch.rand((), generator=self._draw) < self.REBASED)

    @torch.no_grad()
    def _rebase(self, thief: Model, samples: Resident) -> list[tuple[Any, Tensor, Tensor]]:
        """Rebase the statistics of `thief` from those of the release to those of `samples`.

        Returns:
            The thief's BatchNorm layers, and how their scale and shift follow from the release's
            scale: by d scale' / d scale and d shift' / d scale, per channel.
        """
        layers: list[tuple[Any, Any]] = [
            (mine, theirs)
            for mine, theirs in zip(
                thief.module.modules(), self.model.module.modules(), strict=True
            )
            if isinstance(mine, _BatchNorm) and mine.affine and mine.running_mean is not None
        ]
        for mine, theirs in layers:
            mine.running_mean.copy_(theirs.running_mean)
            mine.running_var.copy_(theirs.running_var)
        size = samples.images.shape[-1]
        rebase_statistics(thief, samples.images[: at_once(self.REBASED_ON, size)])
        rebased = []
        for mine, theirs in layers:
            before = (theirs.running_var + theirs.eps).sqrt()
            slope = (mine.running_var + mine.eps).sqrt() / before
            rebased.append((mine, slope, (mine.running_mean - theirs.running_mean) / before))
        return rebased

    def _samples(self) -> Resident:
        """A random share of the target images, log-uniform in size."""
        most = len(self.target.train)
        fewest = min(self.FEWEST, most)
        share = float(torch.rand((), generator=self._draw))
        count = round(math.exp(math.log(fewest) + share * math.log(most / fewest)))
        order = torch.randperm(most, generator=self._draw)[:count]
        return self.target.train.take(order)
