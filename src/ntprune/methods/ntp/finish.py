"""The finish: masked training against simulated thieves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ntprune.engine import accuracy
from ntprune.engine.loop import make_optimiser
from ntprune.errors import TrainingDivergedError
from ntprune.methods.ntp.controller import Controller
from ntprune.methods.ntp.levels import Grown, Levels
from ntprune.methods.ntp.lookahead import Lookahead
from ntprune.methods.ntp.quick_thief import BATCH, quick_thief
from ntprune.methods.ntp.run import Run
from ntprune.methods.ntp.scales import Scales
from ntprune.methods.ntp.settings import rebases
from ntprune.sparsity import MaskSet


class Finish:
    """Outer steps under a fixed mask, measured at every check; the best check is released.

    Pushing and recovering have an optimiser each: the large gradients of the one would otherwise
    shrink, through Adam's second moment, every step of the other.

    Args:
        run: where the rounds left it.
        masks: the weights that stay.
        levels: of the model as given.
        scales: likewise, if they are to be held.

    Attributes:
        done: outer steps behind us.
        total: outer steps in all.
    """

    name = "finish"

    def __init__(self, run: Run, masks: MaskSet, levels: Levels, scales: Scales | None) -> None:
        settings = run.settings
        self.run = run
        self.masks = masks
        self.levels = levels
        self.scales = scales
        parameters = list(run.model.module.parameters())
        self.source = make_optimiser(parameters, "adamw", settings.lr, 5e-4)
        self.push = make_optimiser(parameters, "adamw", settings.lr, 0.0)
        for each in (self.source, self.push):
            masks.attach(run.model.module, each)
        run.average.restart()
        # From here on the strength is the learning rate of the push relative to the source's.
        self.controller = Controller(
            settings.max_source_drop,
            grain=100 / len(run.work.validation),
            strength=settings.push,
            weakest=0.003,
            strongest=20.0,
        )
        self.lookaheads = [
            Lookahead(
                run.model,
                target,
                batch=max(2, settings.batch // 2),
                depth=settings.depth,
                every=min(settings.every, settings.depth),
                clamp=settings.clamp_of(len(target.classes)),
                rebases=rebases(settings, run.model),
                seed=run.work.seed,
            )
            for target in run.work.targets
        ]
        self.best: tuple[tuple[bool, float], dict[str, Tensor]] | None = None
        self.total = settings.finish
        self.done = 0

    def advance(self) -> float:
        """Outer steps up to the next check, and the check.

        A loss that diverges for good ends the finish where a check inside the constraint is there
        to be released.
        """
        run, settings, work = self.run, self.run.settings, self.run.work
        shares = run.objective.shares
        count = min(max(1, self.total // settings.checks), self.total - self.done)
        # Not down to zero: the push and the controller need room to the end, and the average
        # is what is released.
        cosine = max(0.4, 0.5 * (1 + math.cos(math.pi * self.done / self.total)))
        run.objective.fit_heads()
        try:
            parts = run.descend((self.source, self.push), cosine, lambda: self._outer_steps(count))
        except TrainingDivergedError:
            if self.best is None or not self.best[0][0]:
                raise
            said = "the loss diverged, so it ends here"
            work.progress(self.name, self.done, self.total, said)
            self.total = self.done
            self.settle()
            return 100 * (work.before - accuracy(run.model, work.validation))
        self.done += count
        with run.average.in_place():
            drop = 100 * (work.before - run.accuracy(work.validation))
            level = self.levels.levelled(run.model)
            batch = min(
                BATCH, settings.batch
            )  # whoever bounds memory by it bounds the thief's, too
            thieves = [quick_thief(level, t, work.seed, batch=batch) for t in work.targets]
            standing = shares.standing(thieves)
            # The file is judged, not what it was made of.
            lost = 100 * (work.before - accuracy(level, work.validation))
            inside = lost <= settings.max_source_drop + 1e-9
            # Among equals the last, which has been pushed longest. Outside the constraint the
            # smallest drop is kept, to say how close it came.
            rank = (inside, -standing if inside else -lost)
            if self.best is None or rank >= self.best[0]:
                self.best = rank, level.module.state_dict()
        strength = self.controller.strength
        found = {"sparsity": self.masks.sparsity, "thief": sum(thieves) / len(thieves)}
        if len(thieves) > 1:
            names = (f"thief: {target.name}" for target in work.targets)
            found |= dict(zip(names, thieves, strict=True))
        run.record("finish", parts, drop, strength=strength, **found)
        shares.hear(thieves)
        self.controller.update(drop)
        return drop

    def settle(self) -> None:
        """Give the model the weights of the best check."""
        assert self.best is not None
        self.run.model.module.load_state_dict(self.best[1])

    def state_dict(self) -> dict[str, Any]:
        """All that the rest of the finish depends on, apart from the run."""
        return {
            "masks": dict(self.masks),
            "done": self.done,
            "total": self.total,
            "controller": self.controller.state_dict(),
            "best": self.best,
            "source": self.source.state_dict(),
            "push": self.push.state_dict(),
            "lookaheads": [lookahead.state_dict() for lookahead in self.lookaheads],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`; its masks are those of the constructor."""
        self.done, self.total = state["done"], state["total"]
        self.controller.load_state_dict(state["controller"])
        self.best = state["best"]
        self.source.load_state_dict(state["source"])
        self.push.load_state_dict(state["push"])
        for lookahead, theirs in zip(self.lookaheads, state["lookaheads"], strict=True):
            lookahead.load_state_dict(theirs)

    def _outer_steps(self, steps: int) -> Tensor:
        """Each a push and what it takes to recover from it; the mean of the loss parts."""
        run, recover = self.run, self.run.settings.recover
        scale = self.source.param_groups[0]["lr"] * self.controller.strength
        for group in self.push.param_groups:
            group["lr"] = scale
        seen = []
        # Measured once for all: lengths are read back from the device, and change slowly.
        grown = self.levels.grown(run.model)
        for _ in range(steps):
            away, parts = run.objective.away()
            self.push.zero_grad(set_to_none=True)
            away.backward()
            self._push_against_thieves(grown)
            self.push.step()
            if self.scales is not None:
                self.scales.hold()
            run.steps += 1
            for _ in range(recover):
                loss = run.recover(self.source)
            seen.append(torch.cat((loss[None], parts)))
        return torch.stack(seen).mean(0)

    def _push_against_thieves(self, grown: Sequence[Grown]) -> None:
        """Add the lookahead gradient to the gradients of the released weights.

        A theft is half the cost of an outer step, so only one target is robbed in each: over a few
        steps the gradients are those of all, mixed by their shares.
        """
        settings = self.run.settings
        if not settings.lookahead:
            return
        lookahead = self.lookaheads[self.run.objective.shares.turn()]
        grads = lookahead.gradient(settings.thief_alpha, settings.fisher, self.masks, grown)
        pairs = zip(self.run.model.module.parameters(), grads, strict=True)
        mine = [(p.grad, g) for p, g in pairs if p.grad is not None and g is not None]
        torch._foreach_add_([a for a, _ in mine], [b for _, b in mine], alpha=settings.lookahead)
