"""Synthetic neighbours: the source's images, each in a style of its own."""

from __future__ import annotations

import importlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ntprune.domains import Domain, Split, domain, neighbours, styles
from ntprune.domains.check import check_domain
from ntprune.domains.draws import generator
from ntprune.domains.neighbours import HELD_OUT, TRAIN, restyle

MODULE = importlib.import_module("ntprune.domains.neighbours")
STYLES = ("warp", "colour", "ground", "tone", "stroke", "soften", "coarsen", "grain")


def blobs(count: int, channels: int, size: int, role: int = 0) -> Tensor:
    """Float images with an off-centre square of their own on a plain ground."""
    draw = generator("blobs", channels, size, role)
    images = torch.rand(count, channels, 1, 1, generator=draw).mul(0.3).repeat(1, 1, size, size)
    shape = slice(size // 4, size // 2)
    images[:, :, shape, shape] = 0.6 + 0.4 * torch.rand(count, channels, 1, 1, generator=draw)
    return images


def whole(channels: int, size: int, classes: int) -> Domain:
    """A domain of few blobs, whose label decides their brightness."""
    parts = []
    for role, count in enumerate((3 * classes, classes, 2 * classes, 2 * classes)):
        labels = torch.arange(count) % classes
        images = blobs(count, channels, size, role) * (0.5 + 0.5 * labels / classes).view(
            -1, 1, 1, 1
        )
        parts.append(Split((255 * images).to(torch.uint8), labels))
    return Domain("blobs", tuple(f"class {i}" for i in range(classes)), *parts, flips=True)


@pytest.mark.parametrize("name", STYLES)
@pytest.mark.parametrize(("channels", "size"), [(1, 8), (3, 8), (1, 28), (3, 33)])
def test_a_style_changes_every_image_and_nothing_else(name: str, channels: int, size: int) -> None:
    images = blobs(64, channels, size)
    before = images.clone()
    styled = getattr(styles, name)(images, generator("style"))
    assert torch.equal(images, before), "the original was changed"
    assert styled.shape == images.shape
    assert styled.dtype == torch.float32
    assert 0 <= float(styled.min()) <= float(styled.max()) <= 1
    change = (styled - images).abs().amax((1, 2, 3))
    assert float(change.quantile(0.05)) > 0.01
    assert torch.equal(styled, getattr(styles, name)(images, generator("style")))


@pytest.mark.parametrize("name", STYLES)
def test_images_are_changed_each_in_its_own_way(name: str) -> None:
    images = blobs(1, 1, 16).repeat(32, 1, 1, 1)
    styled = getattr(styles, name)(images, generator("style")).flatten(1)
    assert len(styled.unique(dim=0)) > (1 if name == "coarsen" else 30)


@pytest.mark.parametrize("name", STYLES)
def test_flat_images_are_no_trouble(name: str) -> None:
    for value in (0.0, 0.5, 1.0):
        flat = torch.full((8, 3, 12, 12), value)
        assert torch.isfinite(getattr(styles, name)(flat, generator("flat"))).all()


@pytest.mark.parametrize(("channels", "size", "classes"), [(1, 8, 2), (3, 20, 7)])
def test_a_target_of_the_same_classes(channels: int, size: int, classes: int) -> None:
    source = whole(channels, size, classes)
    found = check_domain(neighbours(source))
    assert (found.name, found.classes, found.flips) == (
        "neighbours of blobs",
        source.classes,
        True,
    )
    assert (found.channels, found.size) == (channels, size)
    assert found.mixed
    assert not source.mixed
    assert [len(s) for s in (found.train, found.validation)] == [TRAIN, HELD_OUT]
    assert neighbours(source, size=12).size == 12
    assert found.content_hash == neighbours(source).content_hash
    assert found.content_hash != neighbours(source, seed=1).content_hash


def test_every_split_is_made_from_images_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without styles a neighbour is its original, so that it can be traced."""
    monkeypatch.setattr(MODULE, "restyle", lambda images, stream: images)
    source = whole(1, 16, 5)
    found = neighbours(source)

    def keys(split: Split) -> Counter[bytes]:
        return Counter(image.numpy().tobytes() for image in split.images)

    for made, given in (
        (found.train, source.owner_train),
        (found.validation, source.owner_validation),
        (found.pool.join(found.test), source.test),
    ):
        used = keys(made)
        assert set(used) == set(keys(given))
        assert max(used.values()) <= min(used.values()) + 2, "some images are used more than others"
    assert not set(keys(found.pool)) & set(keys(found.test))


def test_the_clean_image_is_never_among_its_neighbours() -> None:
    source = domain("optdigits", size=16)
    images = source.owner_train.images[:300]
    for round_ in range(3):
        styled = restyle(images, generator("clean", round_)).float()
        near = torch.full((len(images),), torch.inf)
        for down in (-1, 0, 1):  # a source image is shifted by so much while a model is trained
            for right in (-1, 0, 1):
                moved = images.float().roll((down, right), (2, 3))
                near = near.minimum((styled - moved).abs().mean((1, 2, 3)))
        assert float(near.min()) > 0.05 * float(images.float().std())


def test_images_too_close_to_their_originals_are_inverted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(MODULE, "_STYLES", tuple((lambda x, _: x, 0.5) for _ in range(4)))
    images = (255 * blobs(16, 1, 12)).to(torch.uint8)
    assert torch.equal(restyle(images, generator("same")), 255 - images)


@pytest.mark.parametrize("value", [0, 128, 255])
def test_even_images_are_not_their_own_neighbours(value: int) -> None:
    images = torch.full((100, 1, 8, 8), value, dtype=torch.uint8)
    styled = restyle(images, generator("even"))
    assert bool((styled != images).flatten(1).any(1).all())


def test_no_image_fades_away() -> None:
    images = domain("syndigits").owner_train.images[:500]
    styled = restyle(images, generator("faint"))
    before, after = (x.float().std((1, 2, 3)) for x in (images, styled))
    assert float((after / before).quantile(0.02)) > 0.3


def test_a_set_with_one_test_image_a_class(tmp_path: Path) -> None:
    labels = np.arange(12) % 2
    images = np.random.default_rng(0).integers(0, 255, (12, 16, 16), dtype=np.uint8)
    np.savez(tmp_path / "few.npz", images=images, labels=labels)
    made = neighbours(domain(f"npz:{tmp_path}/few.npz"))
    assert set(made.train.labels.tolist()) == {0, 1}
    assert len(made.pool) == len(made.test) > 0
