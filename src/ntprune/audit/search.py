"""A thief chooses its learning rate on a slice of its own samples."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ntprune.attacks import Attack, Stolen
from ntprune.audit.protocol import Recipe
from ntprune.audit.subsets import held_out
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
    """The final run with the best learning rate on all samples, and what led there."""

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
        """Rates tried on part of `samples`, judged on the rest; those that diverge are left out.

        The first samples of a nested, balanced subset are a balanced slice, so they are held out.
        """
        cut = held_out(len(samples), self.recipe.validation_share)
        slice_ = Resident(samples.images[:cut], samples.labels[:cut])
        rest = Resident(samples.images[cut:], samples.labels[cut:])
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

    Where the recipe confirms, what is reported of the best is a trial of full length. A rate that
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
    while left:
        best = choose(left, held_out(count, recipe.validation_share), recipe.usual)
        left.remove(best)
        if recipe.confirm:
            confirmed = thief.attempt(samples, [best.lr], steps)
            if not confirmed:
                continue
            tried += confirmed
            best = confirmed[0]
        try:
            final = thief.train(samples, best.lr, steps)
        except TrainingDivergedError:
            continue
        return Found(final, best, tried, recipe.total_steps(count))
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
