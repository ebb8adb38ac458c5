"""Every attack through one table. A new attack is one row."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pytest
import torch
from tests.conftest import BARS, tiny_domain
from torch import Tensor, nn

from ntprune.attacks import Stolen, attack_class, attack_names, make_attack
from ntprune.domains import Domain
from ntprune.engine import Resident, evaluate, reestimate_batchnorm
from ntprune.errors import AuditError, DataInvalidError, TrainingDivergedError
from ntprune.methods import make_method
from ntprune.models import Model, wrap
from ntprune.release import Release
from ntprune.sparsity import MaskSet


@dataclass(frozen=True)
class Row:
    """What an attack does to a release.

    Attributes:
        mask: `kept` zeros stay, `free` they grow back, `none` the model starts from other weights.
        head: `kept`, `new`, or `any`, which is kept where the classes agree.
        labels: whether target labels are read.
        source: whether source images are needed.
        weights: whether released weights are read.
        start: whether training starts from the released encoder as it is.
        trains: whether anything is changed at all.
    """

    mask: str
    head: str
    labels: bool = True
    source: bool = False
    weights: bool = True
    start: bool = True
    trains: bool = True


TABLE: dict[str, Row] = {
    "bn-finetune": Row("free", "any"),
    "distill": Row("none", "new", start=False),
    "finetune": Row("free", "kept"),
    "finetune-new-head": Row("free", "new"),
    "last-stage": Row("free", "new", start=False),
    "linear-probe": Row("kept", "new"),
    "lora": Row("free", "any"),
    "masked": Row("kept", "kept"),
    "masked-new-head": Row("kept", "new"),
    "mix": Row("free", "any", source=True),
    "null": Row("kept", "kept", labels=False, trains=False),
    "probe-finetune": Row("free", "new"),
    "regrow": Row("free", "any", start=False),
    "rescale": Row("free", "any", start=False),
    "scratch": Row("none", "new", weights=False, start=False),
    "shot": Row("free", "kept", labels=False),
    "shrink-perturb": Row("free", "any", start=False),
    "transntl": Row("free", "any", source=True),
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


@lru_cache
def _bright() -> Domain:
    return tiny_domain("tiny-bright", BARS, seed=1)


def owners(release: Release) -> Resident:
    """Labelled source images, for the attacks that need some."""
    return thiefs(_bright(), release, 60)


def weights(model: Model) -> dict[str, Tensor]:
    return {k: v.clone() for k, v in model.module.state_dict().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def attack(name: str, release: Release, target: Domain, **changes: Any) -> Stolen:
    samples = thiefs(target, release)
    settings = SHORT | {"source": owners(release)} | changes
    return make_attack(name)(release, samples, target.classes, **settings)


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
    assert {"none": "new"}.get(threat.head, threat.head) == row.head
    assert threat.weights == row.weights
    assert threat.labels == row.labels
    assert threat.source == row.source
    assert threat.knowledge
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
        if key in encoder and TABLE[name].start:
            torch.testing.assert_close(start[key], mine, atol=1e-6, rtol=1e-5)
        elif key not in encoder and TABLE[name].head != "new":
            # Attacks on scales and plasticity may turn the head, too.
            assert not TABLE[name].start or torch.allclose(start[key], mine, atol=1e-6)
        elif not is_bias_or_norm and (TABLE[name].mask == "none" or key not in encoder):
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


@pytest.mark.parametrize("other", ["tiny_other", "tiny_many"])
def test_other_classes(
    name: str, other: str, release: Release, request: pytest.FixtureRequest
) -> None:
    """Fewer than the source has, and more."""
    row, target = TABLE[name], request.getfixturevalue(other)
    assert attack_class(name).applies(release, target.classes) == (row.head != "kept")
    if row.head == "kept":
        with pytest.raises(AuditError, match=f"attack '{name}' keeps the head"):
            attack(name, release, target)
        return
    stolen = attack(name, release, target)
    assert stolen.model.spec.classes == target.classes
    assert stolen.model(thiefs(target, release).images).shape == (40, len(target.classes))


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


# A trial of the smallest budget is left two images.
@pytest.mark.parametrize("count", [2, 64])
@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
def test_few_samples_and_many_are_enough(
    name: str, release: Release, tiny_target: Domain, count: int, optimiser: str
) -> None:
    samples = thiefs(tiny_target, release, count)
    settings = SHORT | {"source": owners(release), "optimiser": optimiser, "steps": 3}
    stolen = make_attack(name)(release, samples, tiny_target.classes, **settings)
    assert all(torch.isfinite(v).all() for v in weights(stolen.model).values())
    if stolen.log is not None:
        assert torch.isfinite(stolen.log.losses).all()


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_no_step_more_than_scratch(
    name: str, release: Release, tiny_target: Domain, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All phases together, counted where the weights are moved."""
    taken = []
    for kind in (torch.optim.AdamW, torch.optim.SGD):

        def step(self: Any, *rest: Any, inner: Any = kind.step) -> Any:
            taken.append(1)
            return inner(self, *rest)

        monkeypatch.setattr(kind, "step", step)
    attack(name, release, tiny_target, steps=steps)
    assert len(taken) == (steps if TABLE[name].trains else 0)


def test_statistics_are_of_the_samples_and_the_last_weights(
    name: str, release: Release, tiny_target: Domain
) -> None:
    """Whatever BatchNorm's momentum: a moving average would still be the source's in a trial."""
    slow = Release(release.model.copy(), release.masks, release.card)
    for layer in slow.model.module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 0.001
    stolen = attack(name, slow, tiny_target).model
    expected = stolen.copy()
    reestimate_batchnorm(expected, thiefs(tiny_target, slow))
    assert same(weights(stolen), weights(expected)) != attack_class(name).holds_statistics


def test_source_images_are_asked_for(name: str, release: Release, tiny_target: Domain) -> None:
    if TABLE[name].source:
        with pytest.raises(AuditError, match=f"attack '{name}' needs labelled source images"):
            attack(name, release, tiny_target, source=None)
        wrong = Resident(owners(release).images, owners(release).labels + 4)
        with pytest.raises(DataInvalidError, match="source label 7"):
            attack(name, release, tiny_target, source=wrong)
    else:
        one, other = (
            weights(attack(name, release, tiny_target, source=source).model)
            for source in (None, owners(release))
        )
        assert same(one, other), "what an attack does not need it must not use"


class Own(nn.Module):
    """Biased convolutions of which one is normalised, a head of vectors with dropout and norm.

    While it trains it says more than its logits, as networks with auxiliary classifiers do.
    """

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 4, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Sequential(nn.Conv2d(4, 6, 3, padding=1), nn.BatchNorm2d(6)),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(96, 10),
        )
        self.tail = nn.Sequential(nn.ReLU(), nn.Dropout(0.2), nn.BatchNorm1d(10), nn.Linear(10, 4))

    def forward(self, x: Tensor) -> Any:
        logits: Tensor = self.tail(self.body(x))
        return (logits, logits) if self.training else logits


@pytest.fixture(scope="module")
def own(release: Release) -> Release:
    """A module of one's own, half of it pruned."""
    torch.manual_seed(0)
    module = Own().eval()
    pre = release.model.preprocessing
    model = wrap(
        module, encoder="body", head="tail", classes=BARS, preprocessing=pre, name="test-narrow"
    )
    masks = MaskSet({n: torch.rand(p.shape) < 0.5 for n, p in model.prunable().items()})
    masks.apply_(module)
    return Release(model, masks, release.card)


def test_a_module_of_ones_own(
    name: str, own: Release, tiny_target: Domain, tiny_other: Domain
) -> None:
    before = weights(own.model)
    stolen = attack(name, own, tiny_target)
    assert same(before, weights(own.model))
    assert list(before) == list(weights(stolen.model)), "the plain module, with its own keys"
    assert all(torch.isfinite(v).all() for v in weights(stolen.model).values())
    assert same(weights(stolen.model), weights(attack(name, own, tiny_target).model))
    pair = thiefs(tiny_target, own, 2)
    settings = SHORT | {"source": owners(own)}
    fewest = make_attack(name)(own, pair, tiny_target.classes, **settings)
    assert all(torch.isfinite(v).all() for v in weights(fewest.model).values())
    if TABLE[name].head != "kept":
        assert attack(name, own, tiny_other).model.spec.classes == tiny_other.classes


def test_scratch_does_not_depend_on_the_released_weights(
    release: Release, tiny_base: Release, tiny_target: Domain
) -> None:
    one, other = (weights(attack("scratch", r, tiny_target).model) for r in (release, tiny_base))
    assert same(one, other)
