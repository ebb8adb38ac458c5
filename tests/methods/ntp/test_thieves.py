"""What simulated thieves start from, and what their gradients say of the release."""

from __future__ import annotations

from collections import Counter, OrderedDict

import pytest
import torch
from tests.methods.ntp.test_lookahead import target
from torch import Tensor, nn

from ntprune.domains import Domain
from ntprune.engine import generator
from ntprune.methods.ntp.levels import Grown
from ntprune.methods.ntp.thieves import Thief, Thieves
from ntprune.models import Model, last_stage, wrap
from ntprune.objectives import fisher_ratio
from ntprune.release import Release

GROWN = [Grown("features.0", "features.1", 0.25), Grown("features.3", "features.4", 0.5)]


@pytest.fixture
def model(tiny_base: Release) -> Model:
    return tiny_base.model.copy()


def thieves(model: Model, domain: Domain, *, rebases: bool = False) -> Thieves:
    draw = generator(0, "test")
    return Thieves(model, target(domain, model), rebases=rebases, seed=0, draw=draw)


def given(thief: Thief) -> set[str]:
    """Names of the parameters that the thief has of the release."""
    shared = {id(p) for p in thief.shared}
    return {n for n, p in thief.model.module.named_parameters() if id(p) in shared}


def draws(
    monkeypatch: pytest.MonkeyPatch, *, kept: float, fresh: float, rebased: float = 0.0
) -> None:
    monkeypatch.setattr(Thieves, "HEAD_KEPT", kept)
    monkeypatch.setattr(Thieves, "STAGE_FRESH", fresh)
    monkeypatch.setattr(Thieves, "REBASED", rebased)


def of_stage(model: Model) -> set[str]:
    inside = {
        id(p)
        for n in last_stage(model.encoder)
        for p in model.encoder.get_submodule(n).parameters()
    }
    return {n for n, p in model.module.named_parameters() if id(p) in inside}


def test_three_kinds_in_their_shares(model: Model, tiny_target: Domain) -> None:
    simulated = thieves(model, tiny_target)
    everything = {n for n, _ in model.module.named_parameters()}
    encoder = {n for n, _ in model.encoder_parameters()}
    kinds = {
        frozenset(everything): "head kept",
        frozenset(encoder): "new head",
        frozenset(encoder - of_stage(model)): "fresh stage",
    }
    drawn = [simulated.next(()) for _ in range(400)]
    seen = Counter(kinds[frozenset(given(thief))] for thief in drawn)
    for kind, share in {"head kept": 0.25, "new head": 0.42, "fresh stage": 0.33}.items():
        assert seen[kind] / 400 == pytest.approx(share, abs=0.08)
    rates = [thief.rate for thief in drawn]
    low, high = Thieves.RATES
    assert low <= min(rates) < 1.1 * low
    assert 0.9 * high < max(rates) <= high


def test_no_head_is_kept_where_the_classes_differ(model: Model, tiny_other: Domain) -> None:
    simulated = thieves(model, tiny_other)
    for _ in range(20):
        thief = simulated.next(())
        assert not any(name.startswith("classifier") for name in given(thief))
        assert thief.model.spec.classes == tiny_other.classes


def test_a_fresh_stage_is_fresh_and_the_rest_is_the_release(
    model: Model, tiny_target: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    draws(monkeypatch, kept=0.0, fresh=1.0, rebased=1.0)
    simulated, stage = thieves(model, tiny_target, rebases=True), of_stage(model)
    released = dict(model.module.named_parameters())
    last: dict[str, Tensor] = {}
    for _ in range(3):
        thief = simulated.next(())
        assert not thief.polite
        assert thief.rebased == []
        weights = {n: p.detach().clone() for n, p in thief.model.module.named_parameters()}
        for name, weight in weights.items():
            if name in given(thief):
                assert torch.equal(weight, released[name])
            elif weight.dim() >= 2:
                assert not torch.equal(weight, released[name])
                assert name not in last or not torch.equal(weight, last[name])
        last = weights
        found = thief.of_release([torch.ones_like(p) for p in thief.shared])
        none = {n for n, g in zip(weights, found, strict=True) if g is None}
        assert none == stage | {n for n in weights if n.startswith("classifier")}


def test_an_encoder_of_one_stage_is_not_begun_anew(
    tiny_target: Domain, monkeypatch: pytest.MonkeyPatch, tiny_base: Release
) -> None:
    """A scale and a shift of the release are nothing to push on."""
    draws(monkeypatch, kept=0.0, fresh=1.0)
    net = nn.Sequential(
        OrderedDict(
            body=nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU()),
            tail=nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 4)),
        )
    )
    base = tiny_base.model
    parts = {"encoder": "body", "head": "tail", "classes": base.spec.classes}
    model = wrap(net, **parts, preprocessing=base.preprocessing)
    thief = thieves(model, tiny_target).next(())
    assert given(thief) == {n for n, _ in model.encoder_parameters()}


class Scale(nn.Module):
    """A parameter that has no rule to begin anew by."""

    def __init__(self) -> None:
        super().__init__()
        self.by = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        return self.by * x


def test_all_of_a_new_head_is_new(
    model: Model, tiny_other: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thieves share one copy: what one of them has trained must not be the next one's start."""
    draws(monkeypatch, kept=0.0, fresh=0.0)
    channels = model.encode(tiny_other.train.images[:2]).shape[1]
    tail = nn.Sequential(nn.BatchNorm2d(channels), Scale(), model.head)
    net = nn.Sequential(OrderedDict(body=model.encoder, tail=tail))
    parts = {"encoder": "body", "head": "tail", "classes": model.spec.classes}
    simulated = thieves(wrap(net, **parts, preprocessing=model.preprocessing), tiny_other)
    norm, scale, _ = simulated.next(()).model.head
    with torch.no_grad():
        for value in (*norm.state_dict().values(), scale.by):
            value.fill_(7)
    assert simulated.next(()).model.head[0] is norm  # type: ignore[index]
    assert torch.equal(norm.weight, torch.ones(channels))
    assert torch.equal(norm.running_mean, torch.zeros(channels))
    assert scale.by.item() == 1, "a parameter without a rule is what it was at first"


@pytest.mark.parametrize("kept", [0.0, 1.0])
def test_a_thief_starts_as_long_as_the_file_will_be_and_computes_the_same(
    model: Model, tiny_target: Domain, monkeypatch: pytest.MonkeyPatch, kept: float
) -> None:
    draws(monkeypatch, kept=kept, fresh=0.0)
    simulated = thieves(model, tiny_target)
    images = simulated.target.train.images
    for _ in range(2):  # the second starts from the release again, not from the first
        thief = simulated.next(GROWN)
        for layer, _, factor in GROWN:
            mine, theirs = (
                one.module.get_parameter(f"{layer}.weight") for one in (thief.model, model)
            )
            assert torch.equal(mine, theirs * factor)
        for one in (thief.model, model):
            one.module.eval()
        with torch.no_grad():
            # What BatchNorm adds to variances is all that may differ.
            torch.testing.assert_close(
                thief.model.encode(images), model.encode(images), rtol=1e-2, atol=1e-2
            )


@pytest.mark.parametrize("rebased", [0.0, 1.0])
def test_before_it_moves_its_gradient_is_that_of_the_release(
    model: Model, tiny_other: Domain, monkeypatch: pytest.MonkeyPatch, rebased: float
) -> None:
    """Shortened or not, rebased or not, it is the released function that is pushed on.

    A new head and an encoder in eval mode make the two comparable.
    """
    draws(monkeypatch, kept=0.0, fresh=0.0, rebased=rebased)
    for norm in model.module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.add_(0.3)  # type: ignore[union-attr]
            norm.running_var.mul_(2.0)  # type: ignore[union-attr]
    simulated = thieves(model, tiny_other, rebases=True)
    data = simulated.target.train

    def gradients(one: Model, wanted: list[nn.Parameter]) -> list[Tensor]:
        one.module.eval()
        loss = fisher_ratio(one.encode(data.images), data.labels, len(tiny_other.classes))
        return list(torch.autograd.grad(loss, wanted))

    thief = simulated.next(GROWN)
    norms = [m for m in model.module.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(thief.rebased) == len(norms) * int(rebased)
    found = thief.of_release(gradients(thief.model, thief.shared))
    named = dict(model.encoder_parameters())
    expected = dict(zip(named, gradients(model, list(named.values())), strict=True))
    for (name, _), mine in zip(model.module.named_parameters(), found, strict=True):
        if name in expected:
            assert mine is not None
            off = (mine - expected[name]).norm() / expected[name].norm()
            assert off < 0.1, name


def test_what_lies_in_a_new_head_is_not_shortened(
    model: Model, tiny_other: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its layers are not the release's; a layer of the encoder is, whatever follows it."""
    draws(monkeypatch, kept=0.0, fresh=0.0)
    names = {m: n for n, m in model.module.named_modules()}
    head = next(names[m] for m in model.head.modules() if isinstance(m, nn.Linear))
    simulated = thieves(model, tiny_other)
    assert simulated.next([Grown(head, "features.1", 0.5)]).shortened == []
    assert [f for _, f in simulated.next([Grown("features.0", head, 0.5)]).shortened] == [0.5]
