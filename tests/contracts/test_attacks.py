"""Every attack through one table. A new attack is one row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from ntprune.attacks import Stolen, attack_class, attack_names, make_attack
from ntprune.domains import Domain
from ntprune.engine import Resident, evaluate
from ntprune.errors import AuditError, DataInvalidError, TrainingDivergedError
from ntprune.methods import make_method
from ntprune.models import Model
from ntprune.release import Release


@dataclass(frozen=True)
class Row:
    """What an attack does to a release.

    Attributes:
        mask: `kept` zeros stay, `free` they grow back, `none` no released weights are used.
        head: `kept` or `new`; a new one fits any classes.
        trains: whether anything is changed at all.
    """

    mask: str
    head: str
    trains: bool = True


TABLE: dict[str, Row] = {
    "finetune": Row("free", "kept"),
    "finetune-new-head": Row("free", "new"),
    "masked": Row("kept", "kept"),
    "masked-new-head": Row("kept", "new"),
    "null": Row("kept", "kept", trains=False),
    "scratch": Row("none", "new"),
}
SHORT: dict[str, Any] = {"steps": 8, "batch": 16, "lr": 1e-2}


def test_the_table_has_every_attack() -> None:
    assert set(attack_names()) == set(TABLE), "give every attack a row"


@pytest.fixture(params=sorted(TABLE))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def release(tiny_base: Release, tiny_source: Domain) -> Release:
    """Pruned to 80 %, so that there is something to keep and to grow."""
    return make_method("magnitude", sparsity=0.8, steps=15, batch=32)(tiny_base, tiny_source)


def thiefs(domain: Domain, release: Release, count: int = 40) -> Resident:
    samples = Resident.of(domain.pool, release.model.preprocessing, torch.device("cpu"))
    return samples.take(torch.arange(count))


def weights(model: Model) -> dict[str, Tensor]:
    return {k: v.clone() for k, v in model.module.state_dict().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def attack(name: str, release: Release, target: Domain, **changes: Any) -> Stolen:
    samples = thiefs(target, release)
    return make_attack(name)(release, samples, target.classes, **(SHORT | changes))


def test_the_release_is_not_changed(name: str, release: Release, tiny_target: Domain) -> None:
    before = weights(release.model)
    masks = {n: m.clone() for n, m in release.masks.items()}
    stolen = attack(name, release, tiny_target)
    assert same(before, weights(release.model))
    assert all(torch.equal(masks[n], release.masks[n]) for n in masks)
    ours = {p.data_ptr() for p in release.model.module.parameters()}
    assert not ours & {p.data_ptr() for p in stolen.model.module.parameters()}


def test_the_threat_model_is_the_tables(name: str) -> None:
    threat, row = attack_class(name).threat, TABLE[name]
    assert threat.mask == row.mask
    assert (threat.head == "kept") == (row.head == "kept")
    assert threat.weights == (row.mask != "none")
    assert threat.labels == row.trains
    assert attack_class(name).summary


def test_the_stolen_model_is_ready_and_the_log_is_complete(
    name: str, release: Release, tiny_target: Domain
) -> None:
    release.model.module.train()
    try:
        stolen = attack(name, release, tiny_target)
    finally:
        release.model.module.eval()
    assert not any(layer.training for layer in stolen.model.module.modules())
    assert stolen.model.spec.classes == tiny_target.classes
    if TABLE[name].trains:
        assert stolen.log is not None
        assert len(stolen.log.losses) == SHORT["steps"]
    else:
        assert stolen.log is None


def test_the_seed_decides_and_nothing_else(
    name: str, release: Release, tiny_target: Domain
) -> None:
    torch.manual_seed(0)
    first = weights(attack(name, release, tiny_target, seed=1).model)
    torch.manual_seed(1)
    again = weights(attack(name, release, tiny_target, seed=1).model)
    other = weights(attack(name, release, tiny_target, seed=2).model)
    assert same(first, again)
    assert same(first, other) != TABLE[name].trains


def test_the_global_random_state_is_untouched(
    name: str, release: Release, tiny_target: Domain
) -> None:
    before = torch.random.get_rng_state()
    attack(name, release, tiny_target)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
def test_what_becomes_of_the_mask(
    name: str, release: Release, tiny_target: Domain, optimiser: str
) -> None:
    stolen = attack(name, release, tiny_target, optimiser=optimiser)
    found = stolen.model.prunable()
    grown = sum(int((found[n].detach()[~m] != 0).sum()) for n, m in release.masks.items())
    if TABLE[name].mask == "kept":
        assert release.masks.holds(stolen.model.module)
        assert grown == 0
    else:
        assert grown > 0.5 * release.masks.zeros


def test_where_an_attack_starts(name: str, release: Release, tiny_target: Domain) -> None:
    """A step of no length shows what a thief begins with."""
    stolen = attack(name, release, tiny_target, steps=1, lr=1e-30, weight_decay=0.0)
    start = dict(stolen.model.module.named_parameters())
    encoder = {n for n, _ in release.model.encoder_parameters()}
    for key, mine in release.model.module.named_parameters():
        is_bias_or_norm = mine.dim() < 2
        if (key in encoder and TABLE[name].mask != "none") or (
            key not in encoder and TABLE[name].head == "kept"
        ):
            torch.testing.assert_close(start[key], mine, atol=1e-6, rtol=1e-5)
        elif not is_bias_or_norm:
            assert not torch.allclose(start[key], mine, atol=1e-3)


def test_training_learns_the_target(name: str, release: Release, tiny_target: Domain) -> None:
    stolen = attack(name, release, tiny_target, steps=120, batch=40)
    test = Resident.of(tiny_target.test, release.model.preprocessing, torch.device("cpu"))
    found, _ = evaluate(stolen.model, test)
    if TABLE[name].trains:
        assert found > 0.5
        assert stolen.log is not None
        assert stolen.log.last < stolen.log.first
    else:
        assert found == evaluate(release.model, test)[0]
        assert same(weights(stolen.model), weights(release.model))


def test_other_classes(name: str, release: Release, tiny_other: Domain) -> None:
    row = TABLE[name]
    assert attack_class(name).applies(release, tiny_other.classes) == (row.head != "kept")
    if row.head == "kept":
        with pytest.raises(AuditError, match=f"attack '{name}' keeps the head"):
            attack(name, release, tiny_other)
        return
    stolen = attack(name, release, tiny_other)
    assert stolen.model.spec.classes == tiny_other.classes
    assert stolen.model(thiefs(tiny_other, release).images).shape == (40, 3)


def test_a_head_is_not_kept_for_as_many_classes_of_other_names(
    name: str, release: Release, tiny_target: Domain
) -> None:
    samples = thiefs(tiny_target, release)
    if TABLE[name].head == "kept":
        with pytest.raises(AuditError, match="other classes"):
            make_attack(name)(release, samples, ("p", "q", "r", "s"), **SHORT)


def test_samples_that_cannot_be_used_are_refused(
    name: str, release: Release, tiny_target: Domain
) -> None:
    samples = thiefs(tiny_target, release)
    none = samples.take(torch.arange(0))
    with pytest.raises(DataInvalidError, match="no target sample"):
        make_attack(name)(release, none, tiny_target.classes)
    with pytest.raises(DataInvalidError, match="label 3"):
        make_attack(name)(release, samples, tiny_target.classes[:2])


def test_divergence_is_an_error_of_the_users(
    name: str, release: Release, tiny_target: Domain
) -> None:
    if TABLE[name].trains:
        with pytest.raises(TrainingDivergedError):
            attack(name, release, tiny_target, lr=1e25, optimiser="sgd", steps=12)


def test_fewer_samples_than_a_batch_are_enough(
    name: str, release: Release, tiny_target: Domain
) -> None:
    samples = thiefs(tiny_target, release, 3)
    stolen = make_attack(name)(release, samples, tiny_target.classes, steps=2)
    assert all(torch.isfinite(v).all() for v in weights(stolen.model).values())


def test_scratch_does_not_depend_on_the_released_weights(
    release: Release, tiny_base: Release, tiny_target: Domain
) -> None:
    one, other = (weights(attack("scratch", r, tiny_target).model) for r in (release, tiny_base))
    assert same(one, other)
