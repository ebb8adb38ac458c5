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


def search(
    attack: Attack,
    release: Release,
    samples: Resident,
    classes: tuple[str, ...],
    recipe: Recipe,
    seed: int,
    source: Resident | None = None,
) -> Found:
    """Try every learning rate on part of `samples`, then attack with the best on all of them.

    Successive halving, where the recipe has finalists: only the best of the first, short trials
    get a second, longer one, and those alone are chosen from. The first samples of a nested,
    balanced subset are a balanced slice, so they are held out. Every run starts from the release
    as it is.

    Args:
        attack, release, classes: who attacks what, for a target with which classes.
        samples: the thief's, in the order of its nested subset.
        recipe: how it trains and searches.
        seed: of the thief.
        source: its labelled source images, for an attack that needs some.

    Raises:
        TrainingDivergedError: every learning rate diverged.
    """
    cut = held_out(len(samples), recipe.validation_share)
    slice_ = Resident(samples.images[:cut], samples.labels[:cut])
    rest = Resident(samples.images[cut:], samples.labels[cut:])

    def attempt(lrs: Iterable[float], steps: int) -> list[Trial]:
        trials = []
        for lr in lrs:
            try:
                stolen = _run(attack, release, rest, source, classes, recipe, lr, steps, seed)
            except TrainingDivergedError:
                continue
            trials.append(Trial(lr, *evaluate(stolen.model, slice_)))
        return trials

    short, longer = recipe.trial_steps(len(samples))
    trials = attempt(recipe.lrs, short)
    best_first = sorted(trials, key=lambda trial: trial.rank, reverse=True)
    finals = attempt([t.lr for t in best_first[: recipe.finalists]], longer)
    if not trials:
        raise TrainingDivergedError(
            f"attack '{attack.name}' diverged at every learning rate of {list(recipe.lrs)}"
        )
    best = max(finals or trials, key=lambda trial: trial.rank)
    steps = recipe.steps(len(samples))
    final = _run(attack, release, samples, source, classes, recipe, best.lr, steps, seed)
    return Found(final, best, trials + finals, recipe.total_steps(len(samples)))


def _run(
    attack: Attack,
    release: Release,
    samples: Resident,
    source: Resident | None,
    classes: tuple[str, ...],
    recipe: Recipe,
    lr: float,
    steps: int,
    seed: int,
) -> Stolen:
    return attack(
        release,
        samples,
        classes,
        source=source,
        lr=lr,
        steps=steps,
        batch=recipe.batch,
        optimiser=recipe.optimiser,
        schedule=recipe.schedule,
        weight_decay=recipe.weight_decay,
        seed=stream_seed(seed, "thief", len(samples)),
    )
