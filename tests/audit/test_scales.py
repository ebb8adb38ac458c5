"""What is odd about a file shows before any attack."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tests.audit.test_flags import CALM
from tests.fakes.fake import Fake
from tests.fakes.table import FAKES

from ntprune.audit.flags import raise_flags
from ntprune.audit.scales import filter_directions, stray_statistics, weight_scales
from ntprune.domains import Domain
from ntprune.engine import Resident
from ntprune.methods import make_method
from ntprune.models import Model
from ntprune.release import Release


@pytest.fixture(scope="module")
def images(tiny_base: Release, tiny_source: Domain) -> Resident:
    return Resident.of(tiny_source.test, tiny_base.model.preprocessing, torch.device("cpu"))


def flags(model: Model, base: Release, images: Resident) -> set[str]:
    ours, bare = weight_scales(model), weight_scales(base.model)
    scales = {name: (ours[name], bare[name]) for name in ours}
    strays = stray_statistics(model, images)
    ours, bare = filter_directions(model), filter_directions(base.model)
    found = {
        "scales": scales,
        "strays": strays,
        "directions": {name: (ours[name], bare[name]) for name in ours},
    }
    return {flag.name for flag in raise_flags(replace(CALM, **found))}


@pytest.mark.parametrize("fake", FAKES, ids=lambda fake: fake.name)
def test_fakes_that_play_with_scales_are_seen(
    fake: Fake, tiny_base: Release, tiny_source: Domain, tiny_target: Domain, images: Resident
) -> None:
    made = fake.make(tiny_base, tiny_source, tiny_target)
    seen = flags(made.model, tiny_base, images)
    assert seen == fake.flags & {"unusual-scale", "same-encoder"}


@pytest.mark.parametrize("method", ["magnitude", "random"])
def test_sparse_networks_are_not(
    method: str, tiny_base: Release, tiny_source: Domain, images: Resident
) -> None:
    made = make_method(method, sparsity=0.95, steps=60, batch=32)(tiny_base, tiny_source)
    assert flags(made.model, tiny_base, images) == set()


def test_scales_are_of_what_is_not_zero(tiny_base: Release) -> None:
    model = tiny_base.model.copy()
    before = weight_scales(model)
    name, weight = next(iter(model.prunable().items()))
    with torch.no_grad():
        weight.view(-1)[::2] = 0
        weight.view(-1)[1::2] = 3
        model.head[-1].weight.zero_()
        model.head[-1].bias.fill_(1e9)
    after = weight_scales(model)
    assert after[name] == pytest.approx(3)
    assert set(before) - set(after) == {"classifier.2.weight"}
    assert all(after[other] == before[other] for other in after if other != name)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
def test_a_file_may_hold_anything(value: float, tiny_base: Release, images: Resident) -> None:
    model = tiny_base.model.copy()
    with torch.no_grad():
        model.encoder[0].weight.fill_(value)
        model.encoder[1].running_var.fill_(value)
    assert weight_scales(model)["features.0.weight"] == (1.0 if value < 0 else 0.0)
    assert stray_statistics(model, images)["features.1"] == 1.0


def test_the_model_is_only_looked_at(tiny_base: Release, images: Resident) -> None:
    model = tiny_base.model.copy()
    before = {k: v.clone() for k, v in model.module.state_dict().items()}
    model.module.train()
    stray_statistics(model, images)
    assert model.module.training
    assert all(torch.equal(before[k], v) for k, v in model.module.state_dict().items())
    assert not any(layer._forward_pre_hooks for layer in model.module.modules())
