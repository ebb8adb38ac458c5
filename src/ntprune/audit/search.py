"""A thief chooses its learning rate on a slice of its own samples."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ntprune.attacks import Attack, Stolen
from ntprune.audit.protocol import Recipe
from ntprune.audit.subsets import held_out, hold_out
from ntprune.engine import Resident, evaluate, stream_seed
from ntprune.errors import TrainingDivergedError
from ntprune.release import Release


@dataclass(frozen=True)
class Trial:
    """One learning rate: accuracy and cross-entropy on the held-out slice."""

    lr: float
    accuracy: float
    loss: float


@dataclass(frozen=True)
class Found:
    """The final run with the best learning rate on all samples, and what led there.

    Attributes:
        stolen: what the final run left.
        best: the last trial of its rate.
        trials: all, short ones first.
        steps: optimiser steps of the final run and of all trials.
    """

    stolen: Stolen
    best: Trial
    trials: list[Trial]
    steps: int


@dataclass(frozen=True)
class Thief:
    """Who attacks what, by which recipe; every run starts from the release as it is.

    Attributes:
        attack, release, classes: the attack on what, for a target with which classes.
        recipe: how it trains and searches.
        seed: of the thief.
        source: its labelled source images, for an attack that needs some.
    """

    attack: Attack
    release: Release
    classes: tuple[str, ...]
    recipe: Recipe
    seed: int
    source: Resident | None = None

    def attempt(self, samples: Resident, lrs: Iterable[float], steps: int) -> list[Trial]:
        """Rates tried on part of `samples`, judged on the rest; those that diverge are left out."""
        held = hold_out(samples.labels, self.recipe.validation_share)
        slice_, rest = samples.take(held.nonzero()[:, 0]), samples.take((~held).nonzero()[:, 0])
        trials = []
        for lr in lrs:
            try:
                stolen = self.train(rest, lr, steps)
            except TrainingDivergedError:
                continue
            trial = Trial(lr, *evaluate(stolen.model, slice_))
            if math.isfinite(trial.loss):  # it can blow up on images that were not trained on
                trials.append(trial)
        return trials

    def train(self, samples: Resident, lr: float, steps: int) -> Stolen:
        """One run on all of `samples`.

        Raises:
            TrainingDivergedError: the loss was not finite at the end.
        """
        return self.attack(
            self.release,
            samples,
            self.classes,
            source=self.source,
            lr=lr,
            steps=steps,
            batch=self.recipe.batch,
            optimiser=self.recipe.optimiser,
            schedule=self.recipe.schedule,
            weight_decay=self.recipe.weight_decay,
            seed=stream_seed(self.seed, "thief", len(samples)),
        )


def search(thief: Thief, samples: Resident) -> Found:
    """Try every learning rate on part of `samples`, then attack with the best on all of them.

    Where the recipe confirms, the best is tried at full length, and beside it the usual rate if the
    best is another: short trials favour rates that start fast, and where no rate has learnt
    anything yet chance chooses. Of the two the one with more held-out images right is taken, of
    equals the best of the short trials; what is reported is its trial of full length. A rate that
    diverges only at that length is left for the next best, so that no attack fails where a thief
    would have gone on.

    Args:
        thief: who searches.
        samples: its own, in the order of its nested subset.

    Raises:
        TrainingDivergedError: every learning rate diverged.
    """
    recipe, count = thief.recipe, len(samples)
    tried = thief.attempt(samples, recipe.lrs, recipe.trial_steps(count))
    left, steps = [*tried], recipe.steps(count)
    taken = len(recipe.lrs) * recipe.trial_steps(count)
    while left:
        best = choose(left, held_out(count, recipe.validation_share), recipe.usual)
        left.remove(best)
        ranked = [best]
        if recipe.confirm:
            rates = [best.lr, *(trial.lr for trial in left if trial.lr == recipe.nearest)]
            ranked = thief.attempt(samples, rates, steps)
            tried += ranked
            taken += len(rates) * steps
        for trial in sorted(ranked, key=lambda trial: -trial.accuracy):  # equals keep their order
            taken += steps
            try:
                final = thief.train(samples, trial.lr, steps)
            except TrainingDivergedError:
                continue
            return Found(final, trial, tried, taken)
    raise TrainingDivergedError(
        f"attack '{thief.attack.name}' diverged at every learning rate of {list(recipe.lrs)}"
    )


def choose(trials: Sequence[Trial], images: int, usual: float) -> Trial:
    """Of the rates that can't be told from the best, the one nearest to what is usual.

    The rule of one standard error (Breiman et al. 1984). Accuracies on a handful of images are all
    but equal, and what breaks their ties then decides: cross-entropy would favour rates too low to
    learn anything from a release that starts out surely wrong, which is what protection makes of
    it. The standard error is that of a share with one success and one failure added (Laplace), so
    that it isn't zero where no image, or every one, was right.

    Args:
        trials: at least one, at different rates.
        images: how many held-out images they were judged on.
        usual: a learning rate.
    """
    best = max(trial.accuracy for trial in trials)
    share = (best * images + 1) / (images + 2)
    close = best - math.sqrt(share * (1 - share) / images) - 1e-9
    return min(
        (trial for trial in trials if trial.accuracy >= close),
        key=lambda t: (round(abs(math.log(t.lr / usual)), 6), -t.accuracy, t.loss),
    )
