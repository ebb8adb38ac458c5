"""Batches: every image once an epoch, and augmentation that moves pixels and nothing else."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ntprune.domains import Split
from ntprune.engine import Batches, Resident, generator
from ntprune.models import Preprocessing


def numbered(count: int) -> Resident:
    """Images that hold their own number."""
    numbers = torch.arange(count)
    images = numbers.to(torch.uint8).view(-1, 1, 1, 1).repeat(1, 1, 4, 4)
    return Resident(images, numbers)


def textured(count: int, channels: int = 1, height: int = 6, width: int = 6) -> Resident:
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(1, 256, (count, channels, height, width), generator=draw)
    return Resident(images.to(torch.uint8), torch.arange(count))


@settings(max_examples=60, deadline=None)
@given(count=st.integers(1, 60), size=st.integers(1, 70), epochs=st.integers(1, 4))
def test_every_image_comes_once_an_epoch(count: int, size: int, epochs: int) -> None:
    batches = Batches(numbered(count), size, generator(0))
    drawn: list[int] = []
    while len(drawn) < count * epochs:
        images, labels = batches.next()
        assert len(labels) == min(size, count)
        assert torch.equal(images[:, 0, 0, 0].long(), labels)
        drawn += labels.tolist()
    for epoch in range(epochs):
        assert sorted(drawn[epoch * count : (epoch + 1) * count]) == list(range(count))


def test_each_epoch_has_an_order_of_its_own() -> None:
    batches = Batches(numbered(50), 50, generator(0))
    first, second = (batches.next()[1].tolist() for _ in range(2))
    assert first != second != list(range(50))


@pytest.mark.parametrize(("shift", "flip"), [(0, False), (1, False), (2, True)])
def test_the_seed_fixes_everything(shift: int, flip: bool) -> None:
    def run(seed: int) -> list[Tensor]:
        batches = Batches(textured(40), 16, generator(seed), shift=shift, flip=flip)
        return [part for _ in range(5) for part in batches.next()]

    before = torch.random.get_rng_state()
    assert all(torch.equal(a, b) for a, b in zip(run(1), run(1), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(run(1), run(2), strict=True))
    assert torch.equal(before, torch.random.get_rng_state())


def moved(image: Tensor, down: int, right: int, mirror: bool) -> Tensor:
    """The image translated pixel by pixel, zeros coming in, then mirrored."""
    out = torch.zeros_like(image)
    _, height, width = image.shape
    for row in range(height):
        for column in range(width):
            y, x = row - down, (width - 1 - column if mirror else column) - right
            if 0 <= y < height and 0 <= x < width:
                out[:, row, column] = image[:, y, x]
    return out


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("height", "width"), [(6, 6), (5, 7)])
@pytest.mark.parametrize(("shift", "flip"), [(0, False), (0, True), (1, False), (2, True)])
def test_augmentation_is_a_translation_and_a_mirror(
    channels: int, height: int, width: int, shift: int, flip: bool
) -> None:
    data = textured(60, channels, height, width)
    images, labels = Batches(data, 60, generator(1), shift=shift, flip=flip).next()
    assert images.dtype == torch.uint8
    assert images.shape == data.images.shape
    reach = range(-shift, shift + 1)
    ways = [(d, r, m) for d in reach for r in reach for m in ((False, True) if flip else (False,))]
    seen = set()
    for image, label in zip(images, labels.tolist(), strict=True):
        fits = [way for way in ways if torch.equal(image, moved(data.images[label], *way))]
        assert len(fits) == 1
        seen.add(fits[0])
    # All of them occur, up to the corners of chance with 60 draws out of 50 ways.
    assert len(seen) == len(ways) if len(ways) <= 9 else len(seen) > 25
    assert {way[2] for way in seen} == ({False, True} if flip else {False})


def test_augmentation_does_not_touch_the_data() -> None:
    data = textured(20)
    before = data.images.clone()
    batches = Batches(data, 7, generator(0), shift=2, flip=True)
    for _ in range(6):
        batches.next()[0].zero_()
    assert torch.equal(data.images, before)


def test_a_resident_is_resized_and_takes_rows() -> None:
    split = Split(textured(10, 1, 8, 8).images, torch.arange(10))
    wanted = Preprocessing(channels=3, size=4, mean=(0.0,) * 3, std=(1.0,) * 3)
    data = Resident.of(split, wanted, torch.device("cpu"))
    assert (len(data), tuple(data.images.shape)) == (10, (10, 3, 4, 4))
    rows = data.take(torch.tensor([7, 2]))
    assert rows.labels.tolist() == [7, 2]
    assert torch.equal(rows.images, data.images[[7, 2]])
