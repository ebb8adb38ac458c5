"""The gradient along a simulated theft."""

from __future__ import annotations

import copy
from collections import OrderedDict

import pytest
import torch
from torch import Tensor, nn

from ntprune.domains import Domain
from ntprune.engine import Resident
from ntprune.methods.defence import TargetData
from ntprune.methods.ntp.lookahead import Lookahead
from ntprune.methods.ntp.thieves import Thieves
from ntprune.models import Model, wrap
from ntprune.objectives import fisher_ratio
from ntprune.release import Release
from ntprune.sparsity import MaskSet


def target(domain: Domain, model: Model) -> TargetData:
    train, validation = (
        Resident.of(split, model.preprocessing, torch.device("cpu"))
        for split in (domain.train, domain.validation)
    )
    return TargetData(domain.name, train, validation, domain.classes)


def lookahead(
    model: Model, domain: Domain, seed: int = 0, depth: int = 3, *, rebases: bool = False
) -> Lookahead:
    return Lookahead(
        model,
        target(domain, model),
        batch=32,
        depth=depth,
        every=1,
        clamp=5.0,
        rebases=rebases,
        seed=seed,
    )


def dense(model: Model) -> MaskSet:
    return MaskSet({n: torch.ones_like(p) for n, p in model.prunable().items()})


@pytest.fixture
def model(tiny_base: Release) -> Model:
    return tiny_base.model.copy()


def entries(found: list[Tensor | None], model: Model) -> dict[str, Tensor | None]:
    return dict(zip((n for n, _ in model.module.named_parameters()), found, strict=True))


def flat(found: list[Tensor | None]) -> Tensor:
    return torch.cat([gradient.flatten() for gradient in found if gradient is not None])


def test_entries_align_with_the_parameters(
    model: Model, tiny_other: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other classes: the thief needs a new head, of which nothing is passed on."""
    monkeypatch.setattr(Thieves, "STAGE_FRESH", 0.0)
    found = lookahead(model, tiny_other).gradient(0.5, 1.0, dense(model), ())
    encoder = {n for n, _ in model.encoder_parameters()}
    for (name, gradient), parameter in zip(
        entries(found, model).items(), model.module.parameters(), strict=True
    ):
        if name in encoder:
            assert gradient is not None, name
            assert gradient.shape == parameter.shape
            assert torch.isfinite(gradient).all()
            assert gradient.abs().sum() > 0
        else:
            assert gradient is None, name


def test_a_thief_trains_what_the_owner_has_frozen(model: Model, tiny_target: Domain) -> None:
    first, *_ = model.module.parameters()
    first.requires_grad_(False)
    simulated = lookahead(model, tiny_target)
    for _ in range(6):  # with the head kept and without
        found = simulated.gradient(0.5, 1.0, dense(model), ())
        assert found[0] is not None
        assert float(found[0].abs().sum()) > 0
    assert not first.requires_grad


@pytest.mark.parametrize("training", [True, False])
def test_the_released_model_is_not_changed(
    model: Model, tiny_target: Domain, training: bool
) -> None:
    simulated = lookahead(model, tiny_target)
    model.module.train(training)
    before = copy.deepcopy(model.module.state_dict())
    state = torch.random.get_rng_state()
    for _ in range(4):
        simulated.gradient(0.5, 1.0, dense(model), ())
    assert all(torch.equal(before[k], v) for k, v in model.module.state_dict().items())
    assert all(p.grad is None for p in model.module.parameters())
    assert model.module.training == training
    assert torch.equal(state, torch.random.get_rng_state())


def test_the_seed_decides(model: Model, tiny_target: Domain) -> None:
    def run(seed: int) -> Tensor:
        simulated = lookahead(model, tiny_target, seed)
        simulated.gradient(0.5, 1.0, dense(model), ())
        return flat(simulated.gradient(0.5, 1.0, dense(model), ()))

    first = run(1)
    assert torch.equal(first, run(1))
    assert not torch.equal(first, run(2))


def test_a_thief_that_diverges_says_nothing(
    model: Model, tiny_other: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Thieves, "RATES", (1e30, 1e30))
    found = lookahead(model, tiny_other).gradient(0.5, 1.0, dense(model), ())
    assert all(bool((g == 0).all()) for g in found if g is not None)


def test_thieves_to_come_are_the_same_after_a_stop(model: Model, tiny_other: Domain) -> None:
    """A thief leaves its normalisation behind in the head, which the next one starts from."""
    features = model.encode(tiny_other.train.images[:2])
    net = nn.Sequential(
        OrderedDict(
            body=model.encoder,
            tail=nn.Sequential(nn.BatchNorm2d(features.shape[1]), model.head),
        )
    )
    parts = {"encoder": "body", "head": "tail", "classes": model.spec.classes}
    owner = wrap(net, **parts, preprocessing=model.preprocessing)
    stopped, resumed = lookahead(owner, tiny_other), lookahead(owner, tiny_other)
    for _ in range(2):
        stopped.gradient(0.5, 1.0, dense(owner), ())
    resumed.load_state_dict(copy.deepcopy(stopped.state_dict()))
    for _ in range(2):
        one, other = (each.gradient(0.5, 1.0, dense(owner), ()) for each in (stopped, resumed))
        assert torch.equal(flat(one), flat(other))


def test_the_thief_starts_from_the_weights_of_the_moment(model: Model, tiny_other: Domain) -> None:
    """Weights that moved since the last call are the ones that are stolen next."""
    simulated, fresh = lookahead(model, tiny_other), lookahead(model, tiny_other)
    with torch.no_grad():
        for parameter in model.module.parameters():
            parameter.mul_(1.5)
    found = simulated.gradient(0.5, 1.0, dense(model), ())
    stale = fresh.gradient(
        0.5, 1.0, dense(model), ()
    )  # made before the change as well: it follows too
    moved = lookahead(model, tiny_other).gradient(0.5, 1.0, dense(model), ())
    for a, b, c in zip(found, stale, moved, strict=True):
        if a is not None:
            torch.testing.assert_close(a, b)
            torch.testing.assert_close(a, c)


def test_some_thieves_keep_the_mask(model: Model, tiny_other: Domain) -> None:
    """A mask of zeros alone leaves them no encoder: their gradient is that of a dead network."""
    name = next(iter(model.prunable()))
    nothing = MaskSet({n: torch.zeros_like(p) for n, p in model.prunable().items()})
    simulated = lookahead(model, tiny_other, depth=1)
    dead = 0
    for _ in range(30):
        gradient = entries(simulated.gradient(0.0, 1.0, nothing, ()), model)[name]
        assert gradient is not None
        dead += bool((gradient == 0).all())
    assert 3 <= dead <= 20
    assert not nothing.holds(model.module), "the released weights were masked"


def test_both_terms_count_with_their_weights(model: Model, tiny_other: Domain) -> None:
    def run(alpha: float, fisher: float) -> Tensor:
        return flat(lookahead(model, tiny_other).gradient(alpha, fisher, dense(model), ()))

    away, ratio = run(1.0, 0.0), run(0.0, 1.0)
    assert away.norm() > 0
    assert ratio.norm() > 0
    torch.testing.assert_close(run(0.5, 2.0), 0.5 * away + 2 * ratio, atol=1e-5, rtol=1e-3)


def test_pushing_along_it_lowers_what_a_thief_can_separate(
    model: Model, tiny_other: Domain
) -> None:
    simulated = lookahead(model, tiny_other)
    data = simulated.target.validation

    def separation() -> float:
        twin = model.copy()
        twin.module.train()
        with torch.no_grad():
            return float(fisher_ratio(twin.encode(data.images), data.labels, 3))

    before = separation()
    for _ in range(15):
        grads = simulated.gradient(0.0, 1.0, dense(model), ())
        scale = 0.1 / torch.stack([g.norm() for g in grads if g is not None]).norm()
        with torch.no_grad():
            for parameter, gradient in zip(model.module.parameters(), grads, strict=True):
                if gradient is not None:
                    parameter -= scale * gradient
    assert separation() < 0.8 * before


def test_rebasing_changes_what_is_pushed_on_but_for_no_thief_that_does_not(
    model: Model, tiny_other: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Thieves, "STAGE_FRESH", 0.0)
    plain = lookahead(model, tiny_other).gradient(0.5, 1.0, dense(model), ())
    monkeypatch.setattr(Thieves, "REBASED", 0.0)
    never = lookahead(model, tiny_other, rebases=True).gradient(0.5, 1.0, dense(model), ())
    monkeypatch.setattr(Thieves, "REBASED", 1.0)
    before = copy.deepcopy(model.module.state_dict())
    always = lookahead(model, tiny_other, rebases=True).gradient(0.5, 1.0, dense(model), ())
    first = [next(g for g in each if g is not None) for each in (plain, never, always)]
    assert first[0].shape == first[1].shape == first[2].shape
    assert not torch.equal(first[0], first[2])
    assert torch.isfinite(first[2]).all()
    for name, value in model.module.state_dict().items():
        assert torch.equal(before[name], value), name


@pytest.mark.parametrize(
    ("batch", "looks"),
    [(64, {3, 6, 9}), (63, {3, 6, 9}), (32, {6, 12, 18}), (16, {12, 24, 36}), (2, {13, 26, 40})],
)
def test_a_thief_with_few_samples_goes_further_for_the_same_cost(
    model: Model, tiny_target: Domain, batch: int, looks: set[int]
) -> None:
    simulated = Lookahead(
        model,
        target(tiny_target, model),
        batch=64,
        depth=9,
        every=3,
        clamp=5.0,
        rebases=False,
        seed=0,
    )
    assert simulated._looks(batch) == looks
    assert max(looks) <= Lookahead.DEEPEST
