"""Releases to attack and thieves' samples, in seconds."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from tests.release.toys import base, toy
from torch import Tensor

from ntprune.attacks import Stolen, make_attack
from ntprune.engine import Resident
from ntprune.methods import make_method
from ntprune.models import Model
from ntprune.release import Release
from ntprune.sparsity import MaskSet

# One step of no length and no decay: what an attack begins with.
START: dict[str, Any] = {"steps": 1, "lr": 1e-30, "weight_decay": 0.0}


@lru_cache
def pruned() -> Release:
    """A convnet of width 4 at 80 % sparsity. Not to be changed."""
    return make_method("magnitude", sparsity=0.8, steps=15, batch=32)(base(toy(0)), toy(0))


def tampered(change: Callable[[Model], None]) -> Release:
    """The unpruned convnet after `change`."""
    model = base(toy(0)).model.copy()
    with torch.no_grad():
        change(model)
    masks = MaskSet.keep_all(model.prunable())
    return Release(model, masks, base(toy(0)).card)


def resident(seed: int, count: int, split: str = "pool") -> Resident:
    """The first `count` images of a split of `toy(seed)`; odd seeds are the target."""
    pre = base(toy(0)).model.preprocessing
    return Resident.of(getattr(toy(seed), split), pre, torch.device("cpu")).take(
        torch.arange(count)
    )


def steal(name: str, release: Release, samples: Resident | None = None, **settings: Any) -> Stolen:
    """Attack `release` with 60 target images, if no others are given."""
    samples = samples or resident(1, 60)
    attack = make_attack(name)
    return attack(release, samples, toy(1).classes, source=resident(0, 60), **settings)


def state(model: Model) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.module.state_dict().items()}
