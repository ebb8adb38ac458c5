"""Measuring: accuracy and cross-entropy against a loop, and no trace left."""

from __future__ import annotations

import copy
import math

import pytest
import torch

from ntprune.domains import Domain
from ntprune.engine import Resident, accuracy, evaluate, outputs, right
from ntprune.models import Model
from ntprune.release import Release


@pytest.fixture
def model(tiny_base: Release) -> Model:
    return tiny_base.model.copy()


@pytest.fixture
def data(tiny_base: Release, tiny_target: Domain) -> Resident:
    """The other domain, so that right and wrong answers both occur."""
    return Resident.of(tiny_target.test, tiny_base.model.preprocessing, torch.device("cpu"))


@pytest.mark.parametrize("batch", [1, 7, 80, 1000])
def test_it_equals_a_loop(model: Model, data: Resident, batch: int) -> None:
    model.module.eval()
    hits, loss = [], 0.0
    for image, label in zip(data.images, data.labels.tolist(), strict=True):
        logits = model(image[None])[0].tolist()
        hits.append(logits.index(max(logits)) == label)
        loss += math.log(sum(math.exp(v) for v in logits)) - logits[label]
    assert 0 < sum(hits) < len(data)
    found = evaluate(model, data, batch)
    assert found == pytest.approx((sum(hits) / len(data), loss / len(data)), rel=1e-4)
    assert accuracy(model, data) == sum(hits) / len(data)
    assert right(model, data).tolist() == hits
    logits = outputs(model, data)
    assert logits.shape == (len(data), len(model.spec.classes))
    assert (logits.argmax(1) == data.labels).tolist() == hits


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_is_put_back_and_nothing_changes(
    model: Model, data: Resident, training: bool
) -> None:
    model.module.train(training)
    before = copy.deepcopy(model.module.state_dict())
    first = evaluate(model, data)
    assert all(layer.training == training for layer in model.module.modules())
    assert all(torch.equal(before[k], v) for k, v in model.module.state_dict().items())
    assert evaluate(model, data) == first
    assert torch.is_grad_enabled()
