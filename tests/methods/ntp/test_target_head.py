"""The head that is re-fitted on the frozen encoder."""

from __future__ import annotations

import math

import pytest
import torch

from ntprune.domains import Domain
from ntprune.engine import Resident
from ntprune.methods.defence import TargetData
from ntprune.methods.ntp.target_head import TargetHead
from ntprune.models import Model
from ntprune.release import Release


def target(domain: Domain, model: Model) -> TargetData:
    train, validation = (
        Resident.of(split, model.preprocessing, torch.device("cpu"))
        for split in (domain.train, domain.validation)
    )
    return TargetData(domain.name, train, validation, domain.classes)


@pytest.fixture
def model(tiny_base: Release) -> Model:
    return tiny_base.model.copy()


def test_fitting_lowers_the_loss_and_leaves_all_weights_alone(
    model: Model, tiny_target: Domain
) -> None:
    head = TargetHead(model, target(tiny_target, model), seed=0)
    before = {n: p.detach().clone() for n, p in model.module.named_parameters()}
    first = head.refit(model, 1, lr=0.03)
    last = head.refit(model, 100, lr=0.03)
    assert first > 0.8 * math.log(4)
    assert last < 0.7 * first
    assert all(torch.equal(before[n], p) for n, p in model.module.named_parameters())
    assert all(p.grad is None for p in model.module.parameters())
    assert all(p.requires_grad for p in model.module.parameters())


def test_the_loss_reported_is_the_one_reached(model: Model, tiny_target: Domain) -> None:
    data = target(tiny_target, model)
    head = TargetHead(model, data, seed=0)
    reached = head.refit(model, 60, lr=0.01)
    model.module.train()
    with torch.no_grad():
        logits = head(model.encode(data.train.images))
    found = torch.nn.functional.cross_entropy(logits, data.train.labels).item()
    assert found == pytest.approx(reached, rel=0.05)


def test_gradients_go_through_it_and_not_into_it(model: Model, tiny_target: Domain) -> None:
    data = target(tiny_target, model)
    head = TargetHead(model, data, seed=0)
    head.refit(model, 2)
    head(model.encode(data.train.images[:8])).sum().backward()
    assert all(p.grad is not None for _, p in model.encoder_parameters())
    assert not any(p.requires_grad for p in head.head.parameters())
    weights = [p.clone() for p in head.head.parameters()]
    head.refit(model, 2)  # and it can be fitted again
    assert not torch.equal(weights[0], next(head.head.parameters()))


def test_its_weights_are_its_own_and_follow_the_seed(model: Model, tiny_target: Domain) -> None:
    data = target(tiny_target, model)
    one, again, other = (TargetHead(model, data, seed).head for seed in (0, 0, 1))
    first, second, third = (next(head.parameters()) for head in (one, again, other))
    assert torch.equal(first, second)
    assert not torch.equal(first, third)
    assert first.data_ptr() != next(model.head.parameters()).data_ptr()


def test_classes(model: Model, tiny_target: Domain, tiny_other: Domain) -> None:
    same = TargetHead(model, target(tiny_target, model), seed=0)
    other = TargetHead(model, target(tiny_other, model), seed=0)
    assert (same.classes, same.released) == (4, True)
    assert (other.classes, other.released) == (3, False)
    features = model.encode(target(tiny_other, model).train.images[:5])
    assert other(features).shape == (5, 3)
    assert same(features).shape == (5, 4)


def test_no_more_images_than_asked_for(model: Model, tiny_target: Domain) -> None:
    data = target(tiny_target, model)
    assert len(TargetHead(model, data, 0, images=50).data) == 50
    assert len(TargetHead(model, data, 0).data) == len(data.train)


@pytest.mark.parametrize("running", [False, True])
def test_it_normalises_as_it_says_and_leaves_statistics_and_mode(
    model: Model, tiny_target: Domain, running: bool
) -> None:
    data = target(tiny_target, model)
    head = TargetHead(model, data, seed=0, running=running)
    before = {n: b.clone() for n, b in model.module.named_buffers() if "running" in n}
    assert before
    for training in (False, True):
        model.module.train(training)
        head.refit(model, 2)
        assert model.module.training is training
        with head.statistics(model), torch.no_grad():
            found = model.encode(data.train.images)
        with torch.no_grad():
            model.module.eval()
            eval_mode = model.encode(data.train.images)
        assert torch.allclose(found, eval_mode) is running
    after = dict(model.module.named_buffers())
    assert all(torch.equal(value, after[name]) for name, value in before.items())
