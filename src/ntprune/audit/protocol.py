"""Frozen, versioned rules of an audit. A number is printed with its protocol's name."""

from __future__ import annotations

import math

from pydantic import BaseModel, ConfigDict, Field

from ntprune.errors import SettingsError, UnknownNameError


class Recipe(BaseModel):
    """How every thief trains, the one from scratch included.

    Attributes:
        optimiser: `adamw` or `sgd`.
        lrs: grid of peak learning rates that is searched at every point.
        weight_decay: decoupled.
        batch: images a step.
        epochs, min_steps: a run takes `max(min_steps, epochs * n / batch)` optimiser steps.
        validation_share: of its own samples that the thief holds out while it searches.
        search_share: steps of a search run relative to the final run.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    optimiser: str = "adamw"
    lrs: tuple[float, ...] = Field(min_length=1)
    weight_decay: float = 5e-4
    batch: int = 64
    epochs: float = 5
    min_steps: int = 100
    validation_share: float = 0.2
    search_share: float = 0.25

    def steps(self, samples: int) -> int:
        """Optimiser steps of the final run on `samples` images."""
        return max(self.min_steps, math.ceil(self.epochs * samples / self.batch))

    def total_steps(self, samples: int) -> int:
        """Optimiser steps of one point: the search over the grid and the final run."""
        steps = self.steps(samples)
        return steps + len(self.lrs) * max(1, round(steps * self.search_share))


class Protocol(BaseModel):
    """The rules of design, section 5, with every number fixed.

    Attributes:
        name: for instance `quick/1`; a change of any field is a new version.
        first, points, last: the budgets are `points` log-spaced counts from `first` to the size of
            the pool or `last`, whichever is smaller.
        first_seed, seeds: thieves a point, at least two for an interval; each draws its own nested
            samples.
        recipe: how every thief trains.
        attacks: on the release.
        controls: attacks on each control. Those that keep a mask are left out for the unprotected
            model, which has none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    first: int = 8
    points: int = Field(default=5, ge=2)
    last: int = 8192
    first_seed: int = 0
    seeds: int = Field(default=3, ge=2)
    recipe: Recipe
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
        last = min(pool, self.last)
        if last < 2 * self.first:
            raise SettingsError(
                f"the thief's pool has {pool} images, protocol {self.name} needs at least "
                f"{2 * self.first}: use a larger target domain"
            )
        ratio = (last / self.first) ** (1 / (self.points - 1))
        return sorted({round(self.first * ratio**i) for i in range(self.points)})


_FREE = ("finetune", "finetune-new-head")
_KEPT = ("masked", "masked-new-head")

QUICK = Protocol(
    name="quick/1",
    recipe=Recipe(lrs=(1e-3, 3e-3, 1e-2)),
    attacks=_FREE + _KEPT,
    controls={
        "unprotected": _FREE,
        "magnitude": ("finetune-new-head", "masked-new-head"),
        "random": ("finetune-new-head",),
        "null": ("null",),
    },
)

PROTOCOLS = {protocol.name: protocol for protocol in (QUICK,)}


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
