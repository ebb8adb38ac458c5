"""One attack with one budget, beside the same training from scratch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ntprune.attacks import Attack, Stolen, attack_class, make_attack
from ntprune.audit.protocol import FEWEST, QUICK
from ntprune.audit.subsets import source_subset, subset
from ntprune.domains import Domain, domain, require_domain
from ntprune.engine import Optimiser, Resident, accuracy, require_known, resolve_device
from ntprune.errors import AuditError, DataInvalidError, SettingsError
from ntprune.models import Model
from ntprune.release import Release, load
from ntprune.release.check import require_source


@dataclass(frozen=True)
class Single:
    """What came of it.

    Attributes:
        model: the stolen model, in eval mode.
        accuracy, scratch: on the target's test split, of the attack and of training from scratch.
        steps: optimiser steps of either.
    """

    model: Model
    accuracy: float
    scratch: float
    steps: int


def single(
    release: str | Path,
    target: Domain,
    attack: str,
    budget: int,
    *,
    lr: float = 3e-3,
    optimiser: Optimiser = "adamw",
    steps: int | None = None,
    seed: int = 0,
    device: str = "auto",
    data_root: str | Path | None = None,
) -> Single:
    """Attack the release in the folder `release` once, at a stated learning rate.

    It is a look at one attack, not an audit: nothing is searched. What isn't said is as in protocol
    `quick`, and scratch gets the same samples, optimiser and steps. An attack that needs source
    images gets 1,000 of them, as in an audit.

    Args:
        release: folder of the released file.
        target: the unauthorised domain; the thief draws from its `pool` split.
        attack: name in the attack registry.
        budget: how many target images the thief has, at least 3.
        lr: peak learning rate of both.
        optimiser: of both; `sgd` has momentum and wants rates ten times as high.
        steps: of both; as many as `quick` gives a thief with that budget if not given.
        seed: of the thief.
        device: `auto`, `cpu`, `cuda`, ...
        data_root: where the source lies; `NTPRUNE_DATA` if not given.

    Raises:
        UnknownNameError: no such attack.
        SettingsError: a budget below 3 or above the pool, a learning rate that is not positive, no
            step, or an unknown optimiser.
        AuditError: the attack keeps the head and the target has other classes.
        DataInvalidError: the target is the source, or the data of the source is not what the card
            was measured on.
        TrainingDivergedError: the loss was not finite at the end.
    """
    require_domain(target, "target")
    chosen, scratch = make_attack(attack), make_attack("scratch")
    if not FEWEST <= budget <= len(target.pool):
        raise SettingsError(
            f"budget {budget}: expected {FEWEST} (an audit's fewest) to {len(target.pool)}, the "
            f"images of the thief's pool of '{target.name}'"
        )
    if not 0 < lr < float("inf"):
        raise SettingsError(f"lr {lr:g}: expected a positive number, for instance 3e-3")
    require_known("optimiser", optimiser, Optimiser)
    if steps is not None and steps < 1:
        raise SettingsError(f"steps {steps}: expected at least 1")
    where = resolve_device(device)
    released = load(release, where)
    if target.content_hash == released.card.source.content_hash:
        raise DataInvalidError(
            f"target '{target.name}' is the source of this release: name another target"
        )
    pre = released.model.preprocessing
    index = subset(target.pool.labels, budget, seed)
    samples = Resident.of(target.pool.take(index), pre, where)
    test = Resident.of(target.test, pre, where)
    owners = None
    if attack_class(attack).threat.source:
        pool = _source(released, data_root).pool
        owners = Resident.of(pool.take(source_subset(pool.labels, seed)), pre, where)
    recipe = QUICK.recipe
    length = steps or recipe.steps(budget)

    def run(kind: Attack) -> Stolen:
        return kind(
            released,
            samples,
            target.classes,
            source=owners,
            lr=lr,
            steps=length,
            batch=recipe.batch,
            optimiser=optimiser,
            weight_decay=recipe.weight_decay,
            seed=seed,
        )

    # Refused before the first step rather than after scratch has been trained.
    stolen = run(chosen).model
    yardstick = run(scratch).model
    return Single(stolen, accuracy(stolen, test), accuracy(yardstick, test), length)


def _source(released: Release, root: str | Path | None) -> Domain:
    record = released.card.source
    if not record.name:
        raise AuditError("the release's card names no source: use an attack that needs none")
    source = require_domain(domain(record.name, root), "source")
    require_source(released.card, source)
    return source
