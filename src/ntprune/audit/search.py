"""A thief chooses its learning rate on a slice of its own samples."""

from __future__ import annotations

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
) -> Found:
    """Try every learning rate on part of `samples`, then attack with the best on all of them.

    The first samples of a nested, balanced subset are a balanced slice, so they are held out. Every
    run starts from the release as it is.

    Raises:
        TrainingDivergedError: every learning rate diverged.
    """
    cut = held_out(len(samples), recipe.validation_share)
    slice_ = Resident(samples.images[:cut], samples.labels[:cut])
    rest = Resident(samples.images[cut:], samples.labels[cut:])
    steps = recipe.steps(len(samples))
    short = max(1, round(steps * recipe.search_share))
    trials: list[Trial] = []
    for lr in recipe.lrs:
        try:
            stolen = _run(attack, release, rest, classes, recipe, lr, short, seed)
        except TrainingDivergedError:
            continue
        trials.append(Trial(lr, *evaluate(stolen.model, slice_)))
    if not trials:
        raise TrainingDivergedError(
            f"attack '{attack.name}' diverged at every learning rate of {list(recipe.lrs)}"
        )
    best = max(trials, key=lambda trial: trial.rank)
    final = _run(attack, release, samples, classes, recipe, best.lr, steps, seed)
    return Found(final, best, trials, steps + short * len(recipe.lrs))


def _run(
    attack: Attack,
    release: Release,
    samples: Resident,
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
        lr=lr,
        steps=steps,
        batch=recipe.batch,
        optimiser=recipe.optimiser,
        weight_decay=recipe.weight_decay,
        seed=stream_seed(seed, "thief", len(samples)),
    )
