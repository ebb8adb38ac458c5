"""Simulated thieves: what they start from, and what their gradients say of the release."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ntprune.domains.blocks import at_once
from ntprune.engine import Resident, layers_draw, rebase_statistics, rebased_layers
from ntprune.methods.defence import TargetData
from ntprune.methods.ntp.levels import Grown, shorten
from ntprune.models import Model, forget, last_stage


@dataclass
class Thief:
    """One thief before its first step.

    Attributes:
        model: what it trains.
        shared: those of its parameters that start from the release's.
        released: all of its parameters, in the order of the release's.
        shortened: those of `shared` that start at this multiple of the release's.
        rebased: BatchNorm layers whose scale and shift start at what follows from the release's
            scale, by d scale' / d scale and d shift' / d scale (per channel).
        rate: learning rate of its AdamW.
        polite: whether it keeps the mask.
        samples: of the target that it has.
    """

    model: Model
    shared: list[nn.Parameter]
    shortened: list[tuple[nn.Parameter, float]]
    rebased: list[tuple[Any, Tensor, Tensor]]
    rate: float
    polite: bool
    samples: Resident

    def of_release(self, gradients: Sequence[Tensor]) -> list[Tensor | None]:
        """What gradients of `shared` are as gradients of the release.

        Args:
            gradients: one each of `shared`; overwritten.

        Returns:
            One entry for each parameter of the release, `None` where the thief starts from another.
        """
        found = dict(zip((id(p) for p in self.shared), gradients, strict=True))
        for parameter, factor in self.shortened:
            found[id(parameter)].mul_(factor)
        for norm, slope, shift in self.rebased:
            weight, bias = found.get(id(norm.weight)), found.get(id(norm.bias))
            if weight is not None and bias is not None:
                weight.mul_(slope).addcmul_(bias, shift)
        return [found.get(id(p)) for p in self.model.module.parameters()]


class Thieves:
    """Draws simulated thieves of one target.

    Every one takes the release as it will be released, no layer longer than it came. Some keep its
    head (only where the target's classes are the source's), most put a new one on, and some of
    these begin the encoder's last stage anew, too (if it is not all of the encoder). Of the others
    every second keeps the mask, and every second gives BatchNorm the statistics of its own images,
    scales and shifts making up for them, so that it trains the function that is released instead
    of the one that batches of the target would make of it.

    Args:
        model: the released model on its way.
        target: the defender's slice of the target.
        rebases: whether any thief does the last.
        seed: of the new heads' first weights; later ones are of `draw`.
        draw: of every draw.
    """

    # A thief that searches mostly takes a high rate and a new head (docs/method.md).
    RATES = (3e-3, 3e-2)
    FEWEST = 16
    HEAD_KEPT = 0.25
    STAGE_FRESH = 0.33
    POLITE = 1 / 2
    REBASED = 1 / 2
    REBASED_ON = 256  # images

    def __init__(
        self, model: Model, target: TargetData, *, rebases: bool, seed: int, draw: torch.Generator
    ) -> None:
        self.model = model
        self.target = target
        self.rebases = rebases
        self.keeps_head = target.classes == model.spec.classes
        self._draw = draw
        self._copy = model.copy()
        self._new = model.new_head(target.classes, seed)
        for thief in (self._copy, self._new):
            thief.module.requires_grad_(True)  # what the owner has frozen, a thief has not
        # What a head has no rule to begin anew by starts from here, not from the thief before.
        self._head = copy.deepcopy(self._new.head.state_dict())
        self._stage = _fresh_parts(self._new.encoder)

    def next(self, grown: Sequence[Grown]) -> Thief:
        """A thief that starts from the weights of the moment.

        Args:
            grown: layers of the release that will be shortened before it is released.
        """
        kind = self._chance()
        kept = self.keeps_head and kind < self.HEAD_KEPT
        stage = self._stage if kind > 1 - self.STAGE_FRESH else []
        thief = self._copy if kept else self._new
        if not kept:
            thief.head.load_state_dict(self._head)
            self._forget([thief.head])
        shared, shortened = self._take(thief, kept, grown)
        if stage:
            self._forget(stage)
            gone = {id(p) for part in stage for p in part.parameters()}
            shared = [p for p in shared if id(p) not in gone]
            shortened = [(p, factor) for p, factor in shortened if id(p) not in gone]
        rate = self._rate()
        # The mask says nothing of a fresh stage, nor do the statistics that it was trained with.
        polite = self._chance() < self.POLITE and not stage
        samples = self._samples()
        rebases = self.rebases and not stage and self._chance() < self.REBASED
        rebased = self._rebase(thief, samples) if rebases else []
        return Thief(thief, shared, shortened, rebased, rate, polite, samples)

    @torch.no_grad()
    def _take(
        self, thief: Model, kept: bool, grown: Sequence[Grown]
    ) -> tuple[list[nn.Parameter], list[tuple[nn.Parameter, float]]]:
        """Give `thief` the release, its head too if `kept`; `Thief.shared` and `shortened`."""
        mine, theirs = (one.module if kept else one.encoder for one in (thief, self.model))
        torch._foreach_copy_(
            [*mine.parameters(), *mine.buffers()], [*theirs.parameters(), *theirs.buffers()]
        )
        taken = set(mine.modules())
        find = thief.module.get_submodule
        inside = [
            each if each.norm is None or find(each.norm) in taken else each._replace(norm=None)
            for each in grown
            if find(each.layer) in taken
        ]
        shorten(thief, inside)
        shortened = [
            (parameter, each.factor)
            for each in inside
            for parameter in find(each.layer).parameters(recurse=False)
        ]
        return list(mine.parameters()), shortened

    def _forget(self, parts: Sequence[nn.Module]) -> None:
        seed = int(torch.randint(2**31, (), generator=self._draw))
        with layers_draw(seed, self.model.device):
            for part in parts:
                forget(part)

    def _chance(self) -> float:
        return float(torch.rand((), generator=self._draw))

    def _rate(self) -> float:
        low, high = (math.log(rate) for rate in self.RATES)
        return math.exp(low + (high - low) * self._chance())

    def _samples(self) -> Resident:
        """A random share of the target images, log-uniform in size."""
        most = len(self.target.train)
        fewest = min(self.FEWEST, most)
        share = self._chance()
        count = round(math.exp(math.log(fewest) + share * math.log(most / fewest)))
        order = torch.randperm(most, generator=self._draw)[:count]
        return self.target.train.take(order)

    @torch.no_grad()
    def _rebase(self, thief: Model, samples: Resident) -> list[tuple[Any, Tensor, Tensor]]:
        """Rebase the statistics of `thief` to those of `samples`; `Thief.rebased`."""
        layers: list[Any] = rebased_layers(thief)
        of_source = [(m.running_mean.clone(), (m.running_var + m.eps).sqrt()) for m in layers]
        size = samples.images.shape[-1]
        rebase_statistics(thief, samples.images[: at_once(self.REBASED_ON, size)])
        return [
            (m, (m.running_var + m.eps).sqrt() / deviation, (m.running_mean - mean) / deviation)
            for m, (mean, deviation) in zip(layers, of_source, strict=True)
        ]


def _fresh_parts(encoder: nn.Module) -> list[nn.Module]:
    """The encoder's last stage; nothing if no weight is before it that a thief would keep."""
    parts = [encoder.get_submodule(name) for name in last_stage(encoder)]
    inside = {id(p) for part in parts for p in part.parameters()}
    if all(id(p) in inside for p in encoder.parameters() if p.dim() >= 2):
        return []
    return parts
