"""Repair on corrupted source images, then fine-tuning."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ntprune.attacks.base import Attack
from ntprune.attacks.registry import attack
from ntprune.attacks.theft import Theft, ThreatModel
from ntprune.engine import Batches, TrainLog


@attack
class TransNTL(Attack):
    """Source-only repair of a non-transferable network (Hong et al. 2024).

    A defence of this kind leaves the release fragile under slight shifts of its own source. Its
    predictions on noisy and blurred source images are pulled to those on clean ones, worst kind
    first, by steps that look at the sharpest loss nearby; then the target is fine-tuned on. Of the
    steps one half goes to each. A repairing step takes two gradients and counts as one.
    """

    name = "transntl"
    summary = "repair on corrupted source images, then all weights on the target"
    threat = ThreatModel(
        weights=True,
        labels=True,
        source=True,
        mask="free",
        head="any",
        knowledge="the architecture and labelled source images",
    )
    SHARE = 0.5
    CONSISTENCY = 0.1
    NOISE = 0.2
    SHIFT_RATE = 0.01
    RHO = 0.5

    def run(self, theft: Theft) -> TrainLog:
        """Half the steps on the source, the rest on the target."""
        first, last = theft.split(self.SHARE)
        if not first:
            return theft.train(last)
        return self._repair(theft, first).then(theft.train(last))

    def _repair(self, theft: Theft, steps: int) -> TrainLog:
        assert theft.source is not None
        model, head = theft.model, theft.source_head
        trained = [*model.encoder.parameters(), *head.parameters()]
        climb = Climb([p for p in trained if p.requires_grad], self.RHO)
        weights = torch.full((3,), 1 / 3, device=theft.source.labels.device)

        def loss(views: list[Tensor], labels: Tensor) -> tuple[Tensor, Tensor]:
            clean, *others = (head(model.encode(view)) for view in views)
            # The clean prediction is the teacher: only the corrupted one is pulled.
            wanted = clean.detach().log_softmax(1)
            apart = torch.stack(
                [
                    F.kl_div(o.log_softmax(1), wanted, reduction="batchmean", log_target=True)
                    for o in others
                ]
            )
            pull = (weights * apart).sum()
            return F.cross_entropy(clean, labels) + self.CONSISTENCY * pull, apart.detach()

        def objective(images: Tensor, labels: Tensor) -> Tensor:
            views = [images, *corrupted(images, self.NOISE, theft.draw)]
            value, apart = loss(views, labels)
            climb.up(value)
            # A kind of corruption counts the more, the further it has drifted off.
            nonlocal weights
            # By logarithms: a head of large logits would make the factors endless.
            weights = (weights.log() + self.SHIFT_RATE * apart).softmax(0)
            return loss(views, labels)[0]

        return theft.train(
            steps,
            batches=Batches(theft.source, theft.batches.size, theft.draw),
            parameters=trained,
            objective=objective,
            prepare=lambda opt: opt.register_step_pre_hook(climb.down),
        )


def corrupted(images: Tensor, noise: float, draw: torch.Generator) -> list[Tensor]:
    """Three views of `images` (uint8, N×C×H×W), uint8 as well.

    They are additive noise of standard deviation `noise` of the full range, multiplicative noise of
    that standard deviation, and a 5×5 binomial blur.
    """
    pixels = images.to(torch.float32)
    plus, times = (torch.randn(2, *images.shape, generator=draw) * noise).to(images.device)
    row = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0], device=images.device) / 16
    kernel = torch.outer(row, row).expand(images.shape[1], 1, 5, 5)
    padded = F.pad(pixels, (2, 2, 2, 2), mode="replicate")
    blurred = F.conv2d(padded, kernel, groups=images.shape[1])
    views = (pixels + 255 * plus, pixels * (1 + times), blurred)
    return [view.round().clamp(0, 255).to(torch.uint8) for view in views]


@dataclass
class Climb:
    """Adaptive sharpness-aware steps (Kwon et al. 2021): the gradient is taken uphill.

    Attributes:
        parameters: that are trained.
        rho: length of the climb, each weight measured by its own size.
    """

    parameters: list[Tensor]
    rho: float
    _before: list[Tensor] = field(default_factory=list)

    def up(self, value: Tensor) -> None:
        """Move the parameters to where the loss `value` is about highest nearby."""
        slopes = torch.autograd.grad(
            value, self.parameters, allow_unused=True, materialize_grads=True
        )
        with torch.no_grad():
            sizes = [p.abs() + 0.01 for p in self.parameters]
            scaled = torch._foreach_mul(sizes, slopes)
            length = torch.stack(torch._foreach_norm(scaled)).norm().clamp_min(1e-12)
            torch._foreach_mul_(scaled, sizes)
            torch._foreach_mul_(scaled, self.rho / length)
            self._before = [p.detach().clone() for p in self.parameters]
            for parameter, step in zip(self.parameters, scaled, strict=True):
                parameter.add_(step)

    @torch.no_grad()
    def down(self, *_: Any) -> None:
        """Put the parameters back where they were, for the optimiser to move them."""
        torch._foreach_copy_(self.parameters, self._before)
