"""The controls: pruned to the sparsity of the defence, recovered on the source and nothing else."""

from __future__ import annotations

import pytest
import torch

from ntprune.domains import Domain
from ntprune.engine import Resident, silent
from ntprune.methods import make_method
from ntprune.methods.defence import Defence
from ntprune.release import Release
from ntprune.sparsity import GlobalMagnitude, MaskSet

SHORT: dict[str, dict[str, int]] = {
    "admm": {"rounds": 2, "inner": 3},
    "magnitude": {},
    "random": {},
}
CONTROLS = sorted(SHORT)


@pytest.mark.parametrize("name", CONTROLS)
def test_pruned_weights_are_zero_all_through_training(
    name: str, tiny_base: Release, tiny_source: Domain
) -> None:
    """Masked at the end alone, the rest would have learnt to rely on what is then cut."""
    model = tiny_base.model.copy()
    seen = []

    def watch(stage: str, done: int, total: int, note: str = "") -> None:
        seen.append(MaskSet.from_zeros(model.prunable()).sparsity)

    train, validation = (
        Resident.of(split, model.preprocessing, torch.device("cpu"))
        for split in (tiny_source.owner_train, tiny_source.owner_validation)
    )
    work = Defence(model, train, validation, [], 1, False, 1.0, 0, watch)
    outcome = make_method(name, sparsity=0.8, steps=10, batch=32, **SHORT[name]).run(work)
    fine_tuning = seen[SHORT[name].get("rounds", 0) :]
    assert len(fine_tuning) == 10
    assert set(fine_tuning) == {outcome.masks.sparsity}


@pytest.mark.parametrize("name", CONTROLS)
def test_the_target_is_never_looked_at(
    name: str, tiny_base: Release, tiny_source: Domain, tiny_target: Domain
) -> None:
    control = make_method(name, sparsity=0.8, steps=5, batch=32, **SHORT[name])
    with_target = control(tiny_base, tiny_source, [tiny_target], progress=silent)
    without = control(tiny_base, tiny_source)
    one, other = (r.model.module.state_dict() for r in (with_target, without))
    assert all(torch.equal(one[k], other[k]) for k in one)


def test_magnitude_keeps_the_largest_and_the_others_do_not(
    tiny_base: Release, tiny_source: Domain
) -> None:
    prunable = tiny_base.model.prunable()
    largest = GlobalMagnitude().masks(list(prunable.values()), 0.8)
    same = {}
    for name in CONTROLS:
        control = make_method(name, sparsity=0.8, steps=1, batch=32, **SHORT[name])
        masks = control(tiny_base, tiny_source).masks
        same[name] = all(torch.equal(masks[n], m) for n, m in zip(prunable, largest, strict=True))
    assert same == {"admm": False, "magnitude": True, "random": False}


@pytest.mark.parametrize("name", CONTROLS)
def test_fine_tuning_wins_the_source_back(
    name: str, tiny_base: Release, tiny_source: Domain
) -> None:
    short, long = (
        make_method(name, sparsity=0.9, steps=steps, batch=32, lr=1e-2, **SHORT[name])(
            tiny_base, tiny_source
        )
        for steps in (1, 60)
    )
    assert long.card.source.validation > short.card.source.validation + 0.1


def test_admm_draws_the_weights_towards_their_support(
    tiny_base: Release, tiny_source: Domain
) -> None:
    """What is cut at the end has been made small before, which a plain mask does not do."""
    run = make_method("admm", sparsity=0.8, steps=1, rounds=6, inner=20, batch=32)
    release = run(tiny_base, tiny_source)
    assert release.card.steps == 6 * 20 + 1
    first, *_, last = release.history
    assert last["sparsity"] == 0.8 > first["sparsity"]
    assert last["primal"] < max(record["primal"] for record in release.history)
