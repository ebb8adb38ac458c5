"""Non-Transferable Pruning: ADMM on a source, a target and a Fisher-space term (design, section 4).

Ding, Su, Ding, Fei: Non-transferable Pruning, ECCV 2024 (arXiv 2410.08015); facts/methods.md, 1.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from ntprune.engine import (
    AveragedWeights,
    Batches,
    Resident,
    accuracy,
    generator,
    reestimate_batchnorm,
)
from ntprune.engine.loop import make_optimiser
from ntprune.errors import TrainingDivergedError
from ntprune.methods.base import Defence, Method, Outcome, Settings
from ntprune.methods.controller import Controller
from ntprune.methods.lookahead import Lookahead
from ntprune.methods.registry import method
from ntprune.methods.strength import quick_thief
from ntprune.methods.target_head import TargetHead
from ntprune.objectives import clamped_cross_entropy, distilled_cross_entropy, fisher_ratio
from ntprune.sparsity import ADMM, GlobalMagnitude, MaskSet, cubic


class NTPSettings(Settings):
    """Settings of `ntp`.

    Attributes:
        alpha: weight of the clamped target cross-entropy, ≥ 0.
        clamp: its ceiling in nats.
        fisher: weight λ of the Fisher ratio of target features, ≥ 0.
        thief_alpha: weight of the cross-entropy of simulated thieves, which is what a thief loses.
        rounds: outer ADMM rounds.
        inner: optimiser steps of a W-step.
        finish: outer steps of the masked finish: one against a simulated thief, then `recover`
            on the source alone.
        push: learning rate of the former relative to the latter, at first; the controller moves it.
        recover: source steps of an outer step.
        distill: share of these that follows the outputs of the model as given instead of labels.
        lookahead: weight of the lookahead gradient, 0 for none.
        depth, every: steps of the simulated thief, and after which of them a gradient is taken.
        refit: steps of the target head before each round.
        lr: learning rate of AdamW; it falls along a cosine in the finish.
        average: decay of the weight average that is measured and released.
        rho: initial ADMM penalty weight.
        ceiling: highest sparsity of a single layer.
    """

    sparsity: float = Field(default=0.96, ge=0, lt=1)
    alpha: float = Field(default=0.1, ge=0)
    clamp: float = Field(default=3.0, gt=0)
    fisher: float = Field(default=10.0, ge=0)
    thief_alpha: float = Field(default=1.0, ge=0)
    rounds: int = Field(default=15, ge=1)
    inner: int = Field(default=30, ge=1)
    finish: int = Field(default=600, ge=1)
    push: float = Field(default=2.0, gt=0, le=4)
    recover: int = Field(default=4, ge=1)
    distill: float = Field(default=0.7, ge=0, le=1)
    lookahead: float = Field(default=3.0, ge=0)
    depth: int = Field(default=9, ge=1)
    every: int = Field(default=3, ge=1)
    refit: int = Field(default=30, ge=1)
    lr: float = Field(default=2e-3, gt=0)
    average: float = Field(default=0.95, ge=0, lt=1)
    rho: float = Field(default=0.1, gt=0)
    ceiling: float = Field(default=0.998, gt=0, lt=1)


@method
class NTP(Method):
    """Prune by ADMM so that source accuracy stays and target features stop separating classes."""

    name = "ntp"
    summary = "ADMM pruning with a clamped target loss and a Fisher regulariser"
    reference = "Ding et al., ECCV 2024 (arXiv 2410.08015)"
    needs_target = True
    keeps_constraint = True
    Settings = NTPSettings
    settings: NTPSettings

    def run(self, work: Defence) -> Outcome:
        """ADMM rounds, then masked training; the strongest checkpoint inside the constraint."""
        return _Run(self.settings, work).run()


class _Run:
    """One protection run: the state that the rounds and the finish share."""

    CHECKS: ClassVar[int] = 20
    # Images that a decision inside the rounds is based on; the release is judged on all of them.
    GLANCE: ClassVar[int] = 2000

    def __init__(self, settings: NTPSettings, work: Defence) -> None:
        self.settings = settings
        self.work = work
        self.model = work.model
        self.teacher = work.model.copy()
        self.teacher.module.eval()
        self.prunable = self.model.prunable()
        weights = list(self.prunable.values())
        projection = GlobalMagnitude(settings.ceiling)
        projection.masks(weights, settings.sparsity)  # fails now rather than after an hour
        self.admm = ADMM(weights, projection, settings.rho)
        self.average = AveragedWeights(self.model.module, settings.average)
        self.controller = Controller(settings.max_source_drop)
        self.heads = [
            TargetHead(self.model, t, seed=work.seed + i) for i, t in enumerate(work.targets)
        ]
        self.source = self._batches(work.train, "source")
        self.targets = [self._batches(t.train, t.name) for t in work.targets]
        self.lookaheads = [
            Lookahead(
                self.model,
                t,
                batch=max(2, settings.batch // 2),
                depth=settings.depth,
                every=min(settings.every, settings.depth),
                clamp=settings.clamp,
                seed=work.seed,
            )
            for t in work.targets
        ]
        self.steps = 0
        self.diverged = False

    def run(self) -> Outcome:
        glance = self.work.validation.take(
            torch.arange(min(self.GLANCE, len(self.work.validation)))
        )
        before = self._accuracy(glance)
        for number in range(1, self.settings.rounds + 1):
            self._round(number, glance, before)
        masks = MaskSet(dict(zip(self.prunable, self.admm.masks(), strict=True)))
        self._finish(masks)
        return Outcome(masks, self.steps)

    def loss(self) -> tuple[Tensor, Tensor]:
        """The objective on fresh batches, and its parts (source, target, Fisher), detached."""
        images, labels = self.source.next()
        source = F.cross_entropy(self.model(images), labels)
        away, parts = self._target_terms()
        total = source + self.controller.strength * away
        return total, torch.cat((source.detach()[None], parts))

    def _target_terms(self) -> tuple[Tensor, Tensor]:
        """λF − α·min(CE, c) averaged over the targets, and the mean CE and F, detached."""
        terms, parts = [], []
        for batches, head in zip(self.targets, self.heads, strict=True):
            images, labels = batches.next()
            features = self.model.encode(images)
            target = clamped_cross_entropy(head(features), labels, self.settings.clamp)
            if head.released:
                # A thief whose classes are the source's may keep the released head.
                kept = clamped_cross_entropy(self.model.head(features), labels, self.settings.clamp)
                target = (target + kept) / 2
            ratio = fisher_ratio(features, labels, head.classes)
            terms.append(self.settings.fisher * ratio - self.settings.alpha * target)
            parts.append(torch.stack((target.detach(), ratio.detach())))
        return torch.stack(terms).mean(), torch.stack(parts).mean(0)

    def _round(self, number: int, glance: Resident, before: float) -> None:
        sparsity = cubic(number, self.settings.rounds, self.settings.sparsity)
        opt = make_optimiser(self.model.module.parameters(), "adamw", self.settings.lr, 5e-4)
        parts = self._descend((opt,), self.settings.inner, 1.0, self._w_step)
        residuals = self.admm.update(sparsity)
        with self.average.in_place():
            drop = 100 * (before - self._accuracy(glance))
        self._record(
            "admm",
            parts,
            drop,
            sparsity=sparsity,
            primal=residuals.primal,
            dual=residuals.dual,
            rho=residuals.rho,
        )
        self.controller.update(drop)
        self.work.progress("ADMM rounds", number, self.settings.rounds, f"drop {drop:.2f} pp")

    def _finish(self, masks: MaskSet) -> None:
        settings, work = self.settings, self.work
        opt = make_optimiser(self.model.module.parameters(), "adamw", settings.lr, 5e-4)
        push = make_optimiser(self.model.module.parameters(), "adamw", settings.lr, 0.0)
        for each in (opt, push):
            masks.attach(self.model.module, each)
        self.average.restart()
        # From here on the strength is the learning rate of the push relative to the source's.
        self.controller = Controller(
            settings.max_source_drop, strength=settings.push, weakest=0.003, strongest=20.0
        )
        best: tuple[tuple[bool, float], dict[str, Tensor]] | None = None
        every = max(1, settings.finish // self.CHECKS)
        for start in range(0, settings.finish, every):
            count = min(every, settings.finish - start)
            # Not down to zero: the push and the controller need room to the end, and the average
            # is what is released.
            cosine = max(0.15, 0.5 * (1 + math.cos(math.pi * start / settings.finish)))
            parts = self._descend((opt, push), count, cosine, partial(self._outer_steps, masks))
            with self.average.in_place():
                drop = 100 * (work.before - self._accuracy(work.validation))
                thief = sum(quick_thief(self.model, t, work.seed) for t in work.targets)
                thief /= len(work.targets)
                inside = drop <= settings.max_source_drop
                # Outside the constraint the smallest drop is kept, to say how close it came.
                rank = (inside, -thief if inside else -drop)
                if best is None or rank > best[0]:
                    best = rank, copy.deepcopy(self.model.module.state_dict())
            self._record("finish", parts, drop, sparsity=masks.sparsity, thief=thief)
            self.controller.update(drop)
            work.progress("finish", start + count, settings.finish, f"drop {drop:.2f} pp")
        assert best is not None
        self.model.module.load_state_dict(best[1])

    def _descend(
        self,
        optimisers: tuple[torch.optim.Optimizer, ...],
        steps: int,
        scale: float,
        run: Callable[..., Tensor],
    ) -> Tensor:
        """Re-fit the heads, then `run(*optimisers, steps)`; the mean of the loss parts.

        A non-finite loss is rolled back once and tried again at a third of the learning rate.
        """
        for head in self.heads:
            head.refit(self.model, self.settings.refit)
        good = copy.deepcopy(self.model.module.state_dict())
        while True:
            for group in optimisers[0].param_groups:
                group["lr"] = self.settings.lr * scale * (0.3 if self.diverged else 1.0)
            parts = run(*optimisers, steps)
            if torch.isfinite(parts).all():
                return parts
            if self.diverged:
                raise TrainingDivergedError(
                    "the loss became non-finite twice, also at a third of the learning rate: "
                    "lower the method's lr, alpha or fisher"
                )
            self.diverged = True
            self.model.module.load_state_dict(good)
            for optimiser in optimisers:
                optimiser.state.clear()  # its moments are not finite either
            self.average.restart()

    def _w_step(self, optimiser: torch.optim.Optimizer, steps: int) -> Tensor:
        """Steps on the objective plus the pull towards Z; the mean of the loss parts."""
        self.model.module.train()
        seen = []
        for _ in range(steps):
            total, parts = self.loss()
            optimiser.zero_grad(set_to_none=True)
            total.backward()
            self.admm.pull()
            optimiser.step()
            self.average.update()
            seen.append(parts)
        self.steps += steps
        return torch.stack(seen).mean(0)

    def _outer_steps(
        self,
        masks: MaskSet,
        optimiser: torch.optim.Optimizer,
        push: torch.optim.Optimizer,
        steps: int,
    ) -> Tensor:
        """Masked steps against simulated thieves; the mean of the loss parts.

        Pushing and recovering have an optimiser each: the large gradients of the one would
        otherwise shrink, through Adam's second moment, every step of the other.
        """
        scale = optimiser.param_groups[0]["lr"] * self.controller.strength
        for group in push.param_groups:
            group["lr"] = scale
        self.model.module.train()
        seen = []
        for _ in range(steps):
            away, parts = self._target_terms()
            push.zero_grad(set_to_none=True)
            away.backward()
            self._push_against_thieves(masks)
            push.step()
            for _ in range(self.settings.recover):
                images, labels = self.source.next()
                with torch.no_grad():
                    teacher = self.teacher(images)
                loss = distilled_cross_entropy(
                    self.model(images), labels, teacher, self.settings.distill
                )
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                optimiser.step()
                self.average.update()
            seen.append(torch.cat((loss.detach()[None], parts)))
        self.steps += steps * (self.settings.recover + 1)
        return torch.stack(seen).mean(0)

    def _push_against_thieves(self, masks: MaskSet) -> None:
        """Add the lookahead gradient of every target to the gradients of the released weights."""
        settings = self.settings
        if not settings.lookahead:
            return
        weight = settings.lookahead / len(self.lookaheads)
        for lookahead in self.lookaheads:
            grads, _ = lookahead.gradient(settings.thief_alpha, settings.fisher, masks)
            pairs = zip(self.model.module.parameters(), grads, strict=True)
            mine = [(p.grad, g) for p, g in pairs if p.grad is not None and g is not None]
            torch._foreach_add_([a for a, _ in mine], [b for _, b in mine], alpha=weight)

    def _accuracy(self, data: Resident) -> float:
        """Accuracy with BatchNorm statistics of the source alone."""
        reestimate_batchnorm(self.model, self.work.train)
        return accuracy(self.model, data)

    def _batches(self, data: Resident, role: str) -> Batches:
        work = self.work
        draw = generator(work.seed, "ntp", role)
        return Batches(data, self.settings.batch, draw, shift=work.shift, flip=work.flip)

    def _record(self, phase: str, parts: Tensor, drop: float, **more: float) -> None:
        source, target, fisher = parts.tolist()
        entry: dict[str, Any] = {
            "phase": phase,
            "step": self.steps,
            "source_loss": source,
            "target_loss": target,
            "fisher": fisher,
            "drop_pp": drop,
            "strength": self.controller.strength,
        }
        self.work.history.append(entry | more)
