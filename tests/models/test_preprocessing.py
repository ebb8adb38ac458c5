"""Pixels to network input, against loops."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from ntprune.errors import ModelMismatchError
from ntprune.models import Preprocessing


def pre(channels: int, size: int) -> Preprocessing:
    return Preprocessing(
        channels=channels,
        size=size,
        mean=(0.3, 0.5, 0.7)[:channels],
        std=(0.1, 0.2, 0.4)[:channels],
    )


def pixels(count: int, channels: int, height: int, width: int | None = None) -> Tensor:
    draw = torch.Generator().manual_seed(0)
    shape = (count, channels, height, width or height)
    return torch.randint(256, shape, generator=draw).to(torch.uint8)


def triangle(found: int, wanted: int) -> Tensor:
    """Weights (wanted×found) of antialiased bilinear resizing along one side, written out."""
    scale = found / wanted
    reach = max(scale, 1.0)
    rows = torch.zeros(wanted, found, dtype=torch.float64)
    for i in range(wanted):
        centre = (i + 0.5) * scale
        for j in range(found):
            rows[i, j] = max(0.0, 1 - abs(j + 0.5 - centre) / reach)
        rows[i] /= rows[i].sum()
    return rows


@pytest.mark.parametrize(("height", "width"), [(16, 16), (28, 28), (9, 9), (5, 5), (20, 12)])
@pytest.mark.parametrize("channels", [1, 3])
def test_resizing_is_an_antialiased_triangle_filter(height: int, width: int, channels: int) -> None:
    images = pixels(3, channels, height, width)
    found = pre(channels, 8).resize(images)
    assert found.dtype == torch.uint8
    assert found.shape == (3, channels, 8, 8)
    wanted = triangle(height, 8) @ images.double() @ triangle(width, 8).T
    assert (found.double() - wanted).abs().max() <= 0.51


def test_images_of_the_right_size_are_not_touched() -> None:
    images = pixels(2, 3, 8)
    assert torch.equal(pre(3, 8).resize(images), images)
    flat = torch.full((1, 1, 20, 20), 255, dtype=torch.uint8)
    assert torch.equal(pre(1, 8).resize(flat), torch.full((1, 1, 8, 8), 255, dtype=torch.uint8))


def test_many_images_are_the_same_as_few() -> None:
    """Resizing works in portions; none is lost or mixed up at the seam."""
    images = pixels(4100, 1, 5)
    assert torch.equal(pre(1, 4).resize(images)[4090:], pre(1, 4).resize(images[4090:]))
    colour = pixels(4100, 3, 4)
    assert torch.equal(pre(1, 4).resize(colour)[4090:], pre(1, 4).resize(colour[4090:]))


def test_grey_becomes_three_equal_channels() -> None:
    images = pixels(4, 1, 8)
    found = pre(3, 8).resize(images)
    assert found.shape == (4, 3, 8, 8)
    assert all(torch.equal(found[:, c], images[:, 0]) for c in range(3))


def test_rgb_becomes_luma() -> None:
    images = pixels(4, 3, 8)
    found = pre(1, 8).resize(images)
    assert found.shape == (4, 1, 8, 8)
    for image, grey in zip(images.tolist(), found[:, 0].tolist(), strict=True):
        for y in range(8):
            for x in range(8):
                red, green, blue = (image[c][y][x] for c in range(3))
                assert abs(grey[y][x] - (0.299 * red + 0.587 * green + 0.114 * blue)) <= 0.5001
    white = torch.full((1, 3, 8, 8), 255, dtype=torch.uint8)
    assert int(pre(1, 8).resize(white).min()) == 255


@pytest.mark.parametrize(("found", "wanted"), [(2, 1), (4, 3), (2, 3)])
def test_other_channels_are_refused(found: int, wanted: int) -> None:
    with pytest.raises(ModelMismatchError, match=f"{found} channels.*reads {wanted}"):
        pre(wanted, 8).resize(pixels(1, found, 8))


@pytest.mark.parametrize("channels", [1, 3])
def test_normalisation_by_hand(channels: int) -> None:
    images = pixels(2, channels, 4)
    before = images.clone()
    wanted = pre(channels, 4)
    found = wanted.normalise(images)
    assert found.dtype == torch.float32
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(images, before)
    for c in range(channels):
        naive = (images[:, c].double() / 255 - wanted.mean[c]) / wanted.std[c]
        torch.testing.assert_close(found[:, c].double(), naive, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("found", "channels"), [(1, 1), (3, 3), (3, 1), (1, 3)])
def test_fitted_statistics_normalise_what_they_were_fitted_on(found: int, channels: int) -> None:
    images = pixels(50, found, 12)
    fitted = Preprocessing.fit(images, channels, 8)
    assert (fitted.channels, fitted.size) == (channels, 8)
    normal = fitted.normalise(fitted.resize(images))
    assert normal.mean(dim=(0, 2, 3)).abs().max() < 2e-3
    assert (normal.std(dim=(0, 2, 3)) - 1).abs().max() < 2e-3
    again = Preprocessing.model_validate_json(fitted.model_dump_json())
    assert again == fitted


def test_a_blank_channel_does_not_divide_by_zero() -> None:
    blank = torch.zeros(3, 1, 8, 8, dtype=torch.uint8)
    fitted = Preprocessing.fit(blank, 1, 8)
    assert torch.isfinite(fitted.normalise(blank)).all()


@pytest.mark.parametrize(
    "change", [{"channels": 0}, {"size": 3}, {"colour": True}, {"std": (1.0, 1.0)}]
)
def test_nonsense_is_refused(change: dict[str, object]) -> None:
    fields = {"channels": 1, "size": 8, "mean": (0.5,), "std": (0.2,)}
    Preprocessing.model_validate(fields)
    with pytest.raises(ValidationError):
        Preprocessing.model_validate(fields | change)
