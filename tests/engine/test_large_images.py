"""What is done about images and feature maps that would not fit into memory all at once."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.attacks.thefts import pruned, resident, state, steal
from torch import Tensor

from ntprune.domains import blocks
from ntprune.domains.blocks import at_once
from ntprune.engine import evaluate, feature_maps, features
from ntprune.methods.defence import TargetData
from ntprune.methods.ntp.target_head import TargetHead
from ntprune.models import Model, Preprocessing, preprocessing


def test_small_images_are_worked_on_as_many_at_a_time_as_ever() -> None:
    for side in (8, 16, 28, 32, 64):
        assert at_once(512, side) == 512
        assert at_once(256, side) == 256
    assert at_once(4096, 16) == 4096


def test_large_images_a_few_at_a_time() -> None:
    assert at_once(512, 224) == 41
    assert at_once(10, 224) == 10
    assert at_once(512, 4096) == 1


@pytest.fixture
def cramped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images of 16×16 count as large: seven of them at a time."""
    monkeypatch.setattr(blocks, "PIXELS", 7 * 16**2)


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many images were encoded at a time, from here on."""
    pruned()
    seen: list[int] = []
    encode = Model.encode

    def watched(model: Model, batch: Tensor) -> Tensor:
        seen.append(len(batch))
        return encode(model, batch)

    monkeypatch.setattr(Model, "encode", watched)
    return seen


def test_measuring_in_small_portions_is_measuring(
    request: pytest.FixtureRequest, sizes: list[int]
) -> None:
    model, data = pruned().model, resident(1, 60)
    whole = evaluate(model, data)
    request.getfixturevalue("cramped")
    assert evaluate(model, data) == pytest.approx(whole, rel=1e-5)
    assert sizes == [60] + 8 * [7] + [4]


def test_feature_maps_in_portions(sizes: list[int], cramped: None) -> None:
    model, data = pruned().model, resident(1, 60)
    found = feature_maps(model, data.images)
    assert len(found) == 60
    assert max(sizes) == 7
    torch.testing.assert_close(found, model.encode(data.images), atol=1e-5, rtol=1e-4)
    assert not found.requires_grad


def test_statistics_of_a_handful_are_not_taken(sizes: list[int]) -> None:
    model, data = pruned().model.copy(), resident(1, 60)
    model.module.train()
    assert len(feature_maps(model, data.images[:59], batch=29)) == 58
    assert len(feature_maps(model, data.images, batch=26)) == 60, "eight are enough"
    assert len(feature_maps(model, data.images[:3], batch=26)) == 3, "there are no others"
    model.module.eval()
    assert len(feature_maps(model, data.images[:59], batch=29)) == 59
    assert sizes == [29, 29, 26, 26, 8, 3, 29, 29, 1]


def test_as_many_feature_maps_as_fit(
    monkeypatch: pytest.MonkeyPatch, sizes: list[int], cramped: None
) -> None:
    model, data = pruned().model, resident(1, 60)
    each = model.encode(data.images[:1]).numel()
    monkeypatch.setattr(features, "NUMBERS", 20 * each)
    assert len(feature_maps(model, data.images)) == 21, "a portion is not cut"
    assert sizes == [1, 7, 7, 7]


def test_a_target_head_is_fitted_on_what_fits(
    monkeypatch: pytest.MonkeyPatch, cramped: None
) -> None:
    model, data = pruned().model.copy(), resident(1, 60)
    target = TargetData("toy1", data, data, model.spec.classes)
    monkeypatch.setattr(features, "NUMBERS", 1)
    few = TargetHead(model, target, seed=0)
    few.refit(model, 3)
    seven = TargetData("toy1", data.take(torch.arange(7)), data, model.spec.classes)
    model = pruned().model.copy()
    expected = TargetHead(model, seven, seed=0)
    expected.refit(model, 3)
    for one, other in zip(few.head.parameters(), expected.head.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_probe_whose_feature_maps_cannot_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """It encodes as it goes and ends where it would have."""
    settings: dict[str, Any] = {"steps": 12, "batch": 16, "lr": 1e-2}
    kept = state(steal("linear-probe", pruned(), **settings).model)
    monkeypatch.setattr(blocks, "PIXELS", 7 * 16**2)
    monkeypatch.setattr(features, "NUMBERS", 1)
    anew = state(steal("linear-probe", pruned(), **settings).model)
    for name, value in kept.items():
        if name.startswith("features"):
            assert torch.equal(value, anew[name])
        else:
            torch.testing.assert_close(value, anew[name], atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("name", ["rescale", "shot", "bn-finetune"])
def test_attacks_that_look_at_all_images_look_at_a_few_at_a_time(
    name: str, sizes: list[int], cramped: None
) -> None:
    steal(name, pruned(), steps=2, batch=5)
    assert max(sizes, default=0) <= 7


def test_statistics_of_a_large_set_are_those_of_every_kth_image(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    images = torch.randint(256, (40, 3, 8, 8), generator=torch.Generator().manual_seed(0))
    images = images.to(torch.uint8)
    fourth = Preprocessing.fit(images[::4], 3, 8)
    assert Preprocessing.fit(images, 3, 8) != fourth
    monkeypatch.setattr(preprocessing, "_VALUES", 10 * 3 * 8 * 8)
    assert Preprocessing.fit(images, 3, 8) == fourth


def test_resized_in_portions(cramped: None) -> None:
    wanted = Preprocessing(channels=1, size=16, mean=(0.0,), std=(1.0,))
    images = torch.randint(256, (30, 3, 28, 28), generator=torch.Generator().manual_seed(0))
    images = images.to(torch.uint8)
    alone = torch.cat([wanted.resize(image[None]) for image in images])
    assert torch.equal(wanted.resize(images), alone)
