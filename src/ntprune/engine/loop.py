"""The training loop: a fixed number of optimiser steps under one learning-rate cycle."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.lr_scheduler import ConstantLR, OneCycleLR

from ntprune.engine.batches import Batches
from ntprune.errors import SettingsError, TrainingDivergedError
from ntprune.models import Model

LossFunction = Callable[[Tensor, Tensor], Tensor]
Optimiser = Literal["adamw", "adam", "sgd"]
Schedule = Literal["one-cycle", "constant"]


@dataclass(frozen=True)
class TrainLog:
    """What a run of training saw.

    Attributes:
        losses: training loss of every step (nats), float32, on the CPU.
        phase: step at which the last phase began; losses of different phases don't compare.
    """

    losses: Tensor
    phase: int = 0

    @property
    def first(self) -> float:
        """Mean loss of the first tenth of the last phase's steps."""
        return self.losses[self.phase :][: self._tenth].mean().item()

    @property
    def last(self) -> float:
        """Mean loss of the last tenth of the last phase's steps."""
        return self.losses[-self._tenth :].mean().item()

    def then(self, later: TrainLog) -> TrainLog:
        """This run and the phase after it as one."""
        losses = torch.cat((self.losses, later.losses))
        return TrainLog(losses, len(self.losses) + later.phase)

    @property
    def _tenth(self) -> int:
        return max(1, (len(self.losses) - self.phase) // 10)

    @property
    def falling(self) -> float:
        """Relative fall of the loss from the sixth tenth of the last phase to its last, at most 1.

        The learning rate ends at zero, so the very end is flat in every run. What a run that was
        long enough has learnt it has learnt by the middle.
        """
        losses = self.losses[self.phase :]
        middle = len(losses) // 2
        then = losses[middle : middle + self._tenth].mean().item()
        return 1 - self.last / then if then > 0 else 0.0


def require_known(kind: str, name: str, names: object) -> None:
    """Refuse a name that is not among those of the literal type `names`.

    Raises:
        SettingsError: it isn't.
    """
    if name not in get_args(names):
        raise SettingsError(f"{kind} '{name}': expected one of {', '.join(get_args(names))}")


def make_optimiser(
    parameters: Iterable[nn.Parameter], name: Optimiser, lr: float, weight_decay: float
) -> torch.optim.Optimizer:
    """`adamw`, `adam` (weight decay as L2 penalty) or `sgd` (Nesterov momentum 0.9), fused.

    Raises:
        SettingsError: any other name.
    """
    require_known("optimiser", name, Optimiser)
    wanted = [p for p in parameters if p.requires_grad]
    if name == "sgd":
        return torch.optim.SGD(
            wanted, lr=lr, momentum=0.9, weight_decay=weight_decay, nesterov=True, fused=True
        )
    kind = torch.optim.Adam if name == "adam" else torch.optim.AdamW
    return kind(wanted, lr=lr, weight_decay=weight_decay, fused=True)


def train(
    model: Model,
    batches: Batches,
    steps: int,
    *,
    lr: float,
    weight_decay: float = 5e-4,
    optimiser: Optimiser = "adamw",
    schedule: Schedule = "one-cycle",
    parameters: Iterable[nn.Parameter] | None = None,
    prepare: Callable[[torch.optim.Optimizer], object] | None = None,
    loss: LossFunction = F.cross_entropy,
    objective: LossFunction | None = None,
    mode: Callable[[], object] | None = None,
    every: int = 0,
    on_step: Callable[[int], None] | None = None,
) -> TrainLog:
    """Train `model` in place for `steps` steps and leave it in eval mode.

    Args:
        model: changed in place.
        batches: where images and labels come from.
        steps: optimiser steps, at least 1.
        lr: the rate throughout, or the peak of the cycle.
        weight_decay: decoupled for `adamw`, an L2 penalty otherwise.
        optimiser: as in `make_optimiser`.
        schedule: `one-cycle` (30 % warm-up, cosine down) or `constant`.
        parameters: what is trained; everything if not given.
        prepare: called once with the optimiser, for instance to attach masks.
        loss: of logits (N×classes) and labels (N).
        objective: of what the batches hold, in place of `loss` of the model's logits.
        mode: puts the module into the mode it is trained in; train mode if not given.
        every, on_step: `on_step(step)` is called after each `every`-th step and after the last.

    Raises:
        SettingsError: an unknown optimiser or schedule.
        TrainingDivergedError: the loss was not finite at the end.
    """
    require_known("schedule", schedule, Schedule)
    opt = make_optimiser(parameters or model.module.parameters(), optimiser, lr, weight_decay)
    if prepare is not None:
        prepare(opt)
    cycle = (
        OneCycleLR(opt, max_lr=lr, total_steps=max(2, steps), cycle_momentum=False)
        if schedule == "one-cycle"
        else ConstantLR(opt, factor=1)
    )
    losses: list[Tensor] = []
    enter = mode or model.module.train
    enter()
    for step in range(1, steps + 1):
        images, labels = batches.next()
        value = objective(images, labels) if objective else loss(model(images), labels)
        opt.zero_grad(set_to_none=True)
        value.backward()
        opt.step()
        cycle.step()
        losses.append(value.detach())
        if on_step is not None and every and (step % every == 0 or step == steps):
            on_step(step)
            enter()
    model.module.eval()
    log = TrainLog(torch.stack(losses).float().cpu())
    if not torch.isfinite(log.losses[-1]):
        raise TrainingDivergedError(
            f"the loss became {log.losses[-1].item()} after {steps} steps: lower the learning rate "
            f"(now {lr:g})"
        )
    return log
