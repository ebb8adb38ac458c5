"""What `ntp` minimises, on fresh batches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ntprune.engine import Batches, Resident, generator
from ntprune.methods.defence import Defence
from ntprune.methods.ntp.settings import NTPSettings, rebases
from ntprune.methods.ntp.shares import Shares
from ntprune.methods.ntp.target_head import TargetHead
from ntprune.objectives import clamped_cross_entropy, distilled_cross_entropy, fisher_ratio


class Objective:
    """The terms of the objective; each call of one draws its own batch.

    Args:
        settings: the weights of the terms.
        work: the model they are taken at, and the data.

    Attributes:
        shares: how much each target counts.
        reached: cross-entropy (nats) of each target's best head when it was last fitted; empty
            before.

    Raises:
        SettingsError: another number of weights than of targets.
    """

    # A head that is never fitted again should be fitted as well as one that always is.
    ONCE = 300

    def __init__(self, settings: NTPSettings, work: Defence) -> None:
        self.settings = settings
        self.work = work
        self.model = work.model
        self.shares = Shares(settings, work.targets)
        self.teacher = work.model.copy()
        self.teacher.module.eval()
        self.heads = [
            [
                TargetHead(self.model, t, seed=work.seed + i, running=running)
                for running in (False, True)[: 1 + rebases(settings, self.model)]
            ]
            for i, t in enumerate(work.targets)
        ]
        self.reached: list[float] = []
        self.source = self._batches(work.train, "source", flip=work.flip)
        self.targets = [self._batches(t.train, t.name, flip=t.flips) for t in work.targets]

    def fit_heads(self) -> None:
        """Fit the target heads to the features of the moment, or once and for all."""
        steps = self.settings.refit or (0 if self.reached else self.ONCE)
        if steps:
            self.reached = [
                min(head.refit(self.model, steps) for head in heads) for heads in self.heads
            ]

    def keep(self) -> Tensor:
        """CE of the source labels (nats)."""
        images, labels = self.source.next()
        return F.cross_entropy(self.model(images), labels)

    def recover(self) -> Tensor:
        """CE of the source labels and of the outputs of the model as given (nats)."""
        images, labels = self.source.next()
        with torch.no_grad():
            teacher = self.teacher(images)
        return distilled_cross_entropy(self.model(images), labels, teacher, self.settings.distill)

    def away(self) -> tuple[Tensor, Tensor]:
        """λF − α·min(CE, c) mixed over the targets, and CE and F (2) likewise, detached."""
        terms, parts = [], []
        for batches, heads in zip(self.targets, self.heads, strict=True):
            images, labels = batches.next()
            both = torch.stack([self._under(head, images, labels) for head in heads]).mean(0)
            target, ratio = both
            terms.append(self.settings.fisher * ratio - self.settings.alpha * target)
            parts.append(both.detach())
        return self.shares.mix(terms), self.shares.mix(parts)

    def state_dict(self) -> dict[str, Any]:
        """The heads, the shares and the draws."""
        return {
            "heads": [[head.head.state_dict() for head in heads] for heads in self.heads],
            "reached": self.reached,
            "shares": self.shares.state_dict(),
            "source": self.source.state_dict(),
            "targets": [batches.state_dict() for batches in self.targets],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict` of the same work."""
        for heads, states in zip(self.heads, state["heads"], strict=True):
            for head, theirs in zip(heads, states, strict=True):
                head.head.load_state_dict(theirs)
        self.reached = state["reached"]
        self.shares.load_state_dict(state["shares"])
        self.source.load_state_dict(state["source"])
        for batches, theirs in zip(self.targets, state["targets"], strict=True):
            batches.load_state_dict(theirs)

    def _under(self, head: TargetHead, images: Tensor, labels: Tensor) -> Tensor:
        """min(CE, c) and F (2) of one batch with the statistics that belong to `head`."""
        clamp = self.settings.clamp_of(head.classes)
        with head.statistics(self.model):
            features = self.model.encode(images)
            target = clamped_cross_entropy(head(features), labels, clamp)
            if head.released:
                # A thief whose classes are the source's may keep the released head.
                kept = clamped_cross_entropy(self.model.head(features), labels, clamp)
                target = (target + kept) / 2
        return torch.stack((target, fisher_ratio(features, labels, head.classes)))

    def _batches(self, data: Resident, role: str, *, flip: bool) -> Batches:
        draw = generator(self.work.seed, "ntp", role)
        return Batches(data, self.settings.batch, draw, shift=self.work.shift, flip=flip)
