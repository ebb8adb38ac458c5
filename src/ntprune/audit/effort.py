"""What a job will do, read off its spec: training steps by the size of their batch, and images."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from ntprune.audit.prepare import Prepared
from ntprune.audit.protocol import Recipe
from ntprune.audit.subsets import held_out
from ntprune.engine.batchnorm import ENOUGH
from ntprune.jobs import Job
from ntprune.methods import make_method
from ntprune.methods.settings import PruningSettings


@dataclass(frozen=True)
class Effort:
    """The work of one job.

    Attributes:
        steps: number of optimiser steps by images a step.
        looks: images that are classified without training.
    """

    steps: Counter[int]
    looks: int


def effort(job: Job, given: Prepared) -> Effort:
    """The work of one of the jobs of the audit `given`.

    A thief with few samples trains on small batches, and on smaller ones while it searches, because
    some of its samples are held out.
    """
    spec = job.spec
    if "attack" in spec:
        return _attack(spec["n"], Recipe.model_validate(spec["recipe"]), len(given.target.test))
    source = given.source
    if "method" in spec:
        settings = make_method(spec["method"], **spec["settings"]).settings
        assert isinstance(settings, PruningSettings), "what controls are made by prunes"
        steps = Counter({min(settings.batch, len(source.owner_train)): job.steps})
        return Effort(steps, len(source.owner_validation) + len(source.test))
    measured = source if "source" in spec else given.target
    return Effort(Counter(), len(measured.test))


def _attack(n: int, recipe: Recipe, test: int) -> Effort:
    cut = held_out(n, recipe.validation_share)
    search = recipe.total_steps(n) - recipe.steps(n)
    trials = len(recipe.lrs) + (min(2, len(recipe.lrs)) if recipe.confirm else 0)
    steps = Counter({min(recipe.batch, n - cut): search})
    steps[min(recipe.batch, n)] += recipe.steps(n)
    # Most attacks estimate statistics on what they have trained on.
    read = trials * min(n - cut, ENOUGH) + min(n, ENOUGH)
    return Effort(steps, trials * cut + read + test)
