"""Frozen, versioned rules of an audit. A number is printed with its protocol's name."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from ntprune.engine import Optimiser, Schedule
from ntprune.errors import SettingsError, UnknownNameError

# One image is held out, and BatchNorm needs two to train on.
FEWEST = 3


class Recipe(BaseModel):
    """How every thief trains, the one from scratch included.

    Attributes:
        optimiser: `adamw`, `adam` or `sgd`.
        schedule: `one-cycle` or `constant` learning rate.
        lrs: grid of peak learning rates that is searched at every point.
        weight_decay: decoupled for `adamw`.
        batch: images a step.
        epochs, min_steps: a run takes as many optimiser steps as these passes over the samples have
            batches, the last of a pass being a smaller one, and at least `min_steps`.
        validation_share: of its own samples that the thief holds out while it searches.
        search_share: steps of a trial relative to the final run.
        prior: the rate that a thief takes as long as its held-out images don't tell another apart
            from it; the geometric middle of the grid if none is given.
        confirm: whether the best rate is tried once more at the length of the final run, beside the
            usual one if that is another. Short trials favour what starts fast, and a thief chooses
            between attacks by the last one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    optimiser: Optimiser = "adamw"
    schedule: Schedule = "one-cycle"
    lrs: tuple[Annotated[float, Field(gt=0)], ...] = Field(min_length=1)
    weight_decay: float = Field(default=5e-4, ge=0)
    batch: int = Field(default=64, ge=1)
    epochs: float = Field(default=5, ge=0)
    min_steps: int = Field(default=100, ge=1)
    validation_share: float = Field(default=0.2, gt=0, lt=1)
    search_share: float = Field(default=0.25, gt=0)
    prior: float | None = Field(default=None, gt=0)
    confirm: bool = False

    def steps(self, samples: int) -> int:
        """Optimiser steps of the final run on `samples` images."""
        return max(self.min_steps, math.ceil(self.epochs * math.ceil(samples / self.batch)))

    @property
    def usual(self) -> float:
        """The rate of the prior."""
        return self.prior or math.sqrt(min(self.lrs) * max(self.lrs))

    @property
    def nearest(self) -> float:
        """The rate of the grid that is nearest to the usual one."""
        return min(self.lrs, key=lambda lr: abs(math.log(lr / self.usual)))

    def trial_steps(self, samples: int) -> int:
        """Optimiser steps of a trial."""
        return max(1, round(self.steps(samples) * self.search_share))

    def total_steps(self, samples: int) -> int:
        """The most optimiser steps of a point: the final run and the search before it."""
        search = len(self.lrs) * self.trial_steps(samples)
        confirmed = min(2, len(self.lrs)) if self.confirm else 0
        return search + self.steps(samples) * (1 + confirmed)


class Protocol(BaseModel):
    """The rules of docs/audit.md, with every number fixed.

    Attributes:
        name: for instance `quick/1`; a change of any field is a new version.
        first, points, last: the budgets are `points` log-spaced counts from `first` to the size of
            the pool or `last`, whichever is smaller.
        shares: the budgets are these shares of the pool instead, where there are any.
        first_seed, seeds: thieves a point, at least two for an interval; each draws its own nested
            samples.
        recipe: how every thief trains.
        variants: further recipes by name. The attack `finetune@sgd` is `finetune` by the recipe
            `sgd`; the thief from scratch may choose among all of them.
        attacks: on the release.
        controls: attacks on each control. Those that keep a mask are left out for the unprotected
            model, which has none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    first: int = Field(default=8, ge=FEWEST)
    points: int = Field(default=5, ge=2)
    last: int = 8192
    shares: tuple[float, ...] = ()
    first_seed: int = 0
    seeds: int = Field(default=3, ge=2)
    recipe: Recipe
    variants: dict[str, Recipe] = {}
    attacks: tuple[str, ...]
    controls: dict[str, tuple[str, ...]]

    @property
    def thieves(self) -> range:
        """Seeds of the thieves."""
        return range(self.first_seed, self.first_seed + self.seeds)

    def budgets(self, pool: int) -> list[int]:
        """The grid for a pool of that many images.

        Raises:
            SettingsError: the pool is smaller than two budgets.
        """
        if self.shares:
            return self._shared_out(pool)
        last = min(pool, self.last)
        if last < 2 * self.first:
            raise SettingsError(
                f"the thief's pool has {pool} images, protocol {self.name} needs at least "
                f"{2 * self.first}: use a larger target domain"
            )
        ratio = (last / self.first) ** (1 / (self.points - 1))
        return sorted({round(self.first * ratio**i) for i in range(self.points)})

    def _shared_out(self, pool: int) -> list[int]:
        counts = sorted({max(FEWEST, round(share * pool)) for share in self.shares})
        if len(counts) < 2 or counts[-1] > pool:
            raise SettingsError(
                f"the thief's pool has {pool} images, too few for the shares of protocol "
                f"{self.name}: use a larger target domain"
            )
        return counts

    def recipe_of(self, attack: str) -> Recipe:
        """The recipe that `attack` (`name` or `name@variant`) trains by.

        Raises:
            SettingsError: the protocol has no such variant.
        """
        _, _, variant = attack.partition("@")
        if not variant:
            return self.recipe
        if variant not in self.variants:
            raise SettingsError(
                f"protocol {self.name} has no recipe '{variant}' for attack '{attack}': it has "
                f"{', '.join(self.variants) or 'only its main one'}"
            )
        return self.variants[variant]


def procedure(attack: str) -> str:
    """The name of an attack without the recipe: `finetune` of `finetune@sgd`."""
    return attack.partition("@")[0]


_FREE = ("finetune", "finetune-new-head")
_KEPT = ("masked", "masked-new-head")

QUICK = Protocol(
    name="quick/1",
    recipe=Recipe(lrs=(1e-3, 3e-3, 1e-2, 3e-2), prior=1e-2, search_share=0.125),
    attacks=_FREE + _KEPT,
    controls={
        "unprotected": _FREE,
        "magnitude": ("finetune-new-head", "masked-new-head"),
        "random": ("finetune-new-head",),
        "null": ("null",),
    },
)

_STANDARD = (
    _FREE
    + _KEPT
    + (
        "regrow",
        "linear-probe",
        "probe-finetune",
        "bn-finetune",
        "rescale",
        "last-stage",
    )
)
_PLUS = ("lora", "mix", "distill", "shrink-perturb", "transntl", "shot")
_TUNED = Recipe(lrs=(3e-4, 1e-3, 3e-3, 1e-2, 3e-2), prior=1e-2, search_share=0.1, confirm=True)

STANDARD = Protocol(
    name="standard/1",
    points=7,
    seeds=5,
    recipe=_TUNED,
    attacks=_STANDARD,
    controls={
        "unprotected": _FREE + ("probe-finetune",),
        "magnitude": _FREE + _KEPT,
        "random": ("finetune-new-head",),
        "null": ("null",),
    },
)

PLUS = Protocol(
    name="plus/1",
    points=7,
    seeds=5,
    recipe=_TUNED,
    variants={
        "sgd": _TUNED.model_copy(
            update={"optimiser": "sgd", "lrs": (3e-3, 1e-2, 3e-2, 1e-1, 3e-1), "prior": 3e-2}
        ),
        "long": _TUNED.model_copy(update={"epochs": 20.0, "min_steps": 500}),
    },
    attacks=(
        *_STANDARD,
        *_PLUS,
        *(f"{attack}@sgd" for attack in _STANDARD),
        *(f"{attack}@long" for attack in _STANDARD),
    ),
    controls=STANDARD.controls,
)

# The authors' recipe, for the thief and for scratch alike; the flag `polite-protocol` says what is
# unfair about it.
PAPER = Protocol(
    name="paper/1",
    shares=(0.001, 0.002, 0.005, 0.008, 0.01, 0.05, 0.1, 0.2, 0.5, 1.0),
    seeds=5,
    recipe=Recipe(
        optimiser="adam",
        schedule="constant",
        lrs=(1e-4,),
        weight_decay=8e-4,
        batch=128,
        epochs=30,
        min_steps=30,
    ),
    attacks=("masked", "masked-new-head"),
    controls={
        "unprotected": ("finetune", "finetune-new-head"),
        "magnitude": ("masked", "masked-new-head"),
        "random": ("masked", "masked-new-head"),
        "null": ("null",),
    },
)

PROTOCOLS = {protocol.name: protocol for protocol in (QUICK, STANDARD, PLUS, PAPER)}


def protocol(name: str) -> Protocol:
    """Protocol `name`; without a version, the newest of that name.

    Raises:
        UnknownNameError: no such protocol.
    """
    if name in PROTOCOLS:
        return PROTOCOLS[name]
    versions = [p for p in PROTOCOLS if p.split("/")[0] == name]
    if not versions:
        raise UnknownNameError("protocol", name, PROTOCOLS)
    return PROTOCOLS[max(versions, key=lambda p: int(p.split("/")[1]))]
