"""A thief chooses its learning rate on a slice of its own samples."""

from __future__ import annotations

from collections.abc import Iterable
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

    @property
    def rank(self) -> tuple[float, float]:
        """Accuracy decides; cross-entropy breaks ties, which small slices are full of."""
        return self.accuracy, -self.loss


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
            trials.append(Trial(lr, *evaluate(stolen.model, slice_)))
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

    Successive halving, where the recipe has finalists: only the best of the first, short trials
    get a second, longer one, and those alone are chosen from. Where it confirms, what is reported
    of the best is a trial of full length.

    Args:
        thief: who searches.
        samples: its own, in the order of its nested subset.

    A rate that diverges only at the length of the final run is left for the next best, so that no
    attack fails where a thief would have gone on.

    Raises:
        TrainingDivergedError: every learning rate diverged.
    """
    recipe, count = thief.recipe, len(samples)
    short, longer = recipe.trial_steps(count)
    trials = thief.attempt(samples, recipe.lrs, short)
    if not trials:
        raise _all_diverged(thief)
    ranking = sorted(trials, key=lambda trial: trial.rank, reverse=True)
    finals = thief.attempt(samples, [t.lr for t in ranking[: recipe.finalists]], longer)
    choice = sorted(finals or trials, key=lambda trial: trial.rank, reverse=True)
    finalists = {trial.lr for trial in finals}
    choice += [trial for trial in ranking if finals and trial.lr not in finalists]
    tried, steps = trials + finals, recipe.steps(count)
    for best in choice:
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
    raise _all_diverged(thief)


def _all_diverged(thief: Thief) -> TrainingDivergedError:
    rates = list(thief.recipe.lrs)
    return TrainingDivergedError(
        f"attack '{thief.attack.name}' diverged at every learning rate of {rates}"
    )
