"""The door check: what is accepted, and one line for everything that is not."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch

from ntprune.domains.check import PARTS, check_arrays, check_domain, require_domain
from ntprune.domains.domain import Domain, Split
from ntprune.errors import DataInvalidError, SettingsError

CLASSES = ("a", "b")
IMAGES = np.arange(4 * 8 * 8, dtype=np.uint8).reshape(4, 8, 8)
LABELS = np.array([0, 1, 0, 1])


def with_pixel(value: float) -> np.ndarray[Any, Any]:
    images = np.full((4, 8, 8), 0.5)
    images[2, 3, 4] = value
    return images


BAD = {
    "images int64": (IMAGES.astype(np.int64), LABELS, "images of type int64, expected uint8"),
    "images bool": (IMAGES > 3, LABELS, "images of type bool, expected uint8"),
    "images of 0 and 1": (IMAGES > 3, LABELS, r"with 255 \* images.astype"),
    "images of bytes": (IMAGES.astype(np.int16), LABELS, r"expected .*: convert them with images"),
    "images of 12 bits": (
        16 * IMAGES.astype(np.uint16) + 200,
        LABELS,
        "images of type uint16, expected .*: scale them to 0 to 255 first",
    ),
    "images text": (IMAGES.astype(str), LABELS, "images of type <U3, expected uint8"),
    "NaN": (with_pixel(np.nan), LABELS, "NaN or infinite, expected finite pixels"),
    "inf": (with_pixel(np.inf), LABELS, "NaN or infinite, expected finite pixels"),
    "negative": (with_pixel(-0.1), LABELS, r"from -0.1 to 0.5, expected \[0, 1\] or \[0, 255\]"),
    "above 255": (with_pixel(256), LABELS, "float pixels from 0.5 to 256"),
    "overshoot": (with_pixel(1.2), LABELS, r"pixels up to 1.2, expected .*: clip them to \[0, 1\]"),
    "2-D": (IMAGES.reshape(4, 64), LABELS, r"images of shape \(4, 64\), expected N×H×W"),
    "5-D": (IMAGES.reshape(4, 1, 1, 8, 8), LABELS, r"images of shape \(4, 1, 1, 8, 8\)"),
    "2 channels": (np.zeros((4, 2, 8, 8), np.uint8), LABELS, "expected 1 or 3 channels"),
    "4 channels": (np.zeros((4, 8, 8, 4), np.uint8), LABELS, "expected 1 or 3 channels"),
    "oblong": (np.zeros((4, 8, 9), np.uint8), LABELS, "images of 8×9 pixels, expected square"),
    "oblong CHW": (np.zeros((4, 3, 8, 16), np.uint8), LABELS, "images of 8×16 pixels"),
    "oblong HWC": (np.zeros((4, 16, 8, 3), np.uint8), LABELS, "images of 16×8 pixels"),
    "7 px": (np.zeros((4, 7, 7), np.uint8), LABELS, "7×7 pixels, expected square .* 8×8"),
    "labels float": (IMAGES, LABELS.astype(float), "labels of type float64, expected integers"),
    "labels bool": (IMAGES, LABELS > 0, "labels of type bool, expected integers"),
    "labels text": (IMAGES, LABELS.astype(str), "labels of type <U21, expected integers"),
    "one-hot": (IMAGES, np.eye(2, dtype=int)[LABELS], r"labels of shape \(4, 2\), expected N or"),
    "labels 0-D": (IMAGES, np.int64(1), r"labels of shape \(\), expected N or"),
    "negative label": (IMAGES, LABELS - 1, "labels from -1 to 0, expected 0 to 1"),
    "label too high": (IMAGES, LABELS + 1, "labels from 1 to 2, expected 0 to 1"),
    "counts": (IMAGES, LABELS[:3], "4 images and 3 labels, expected one label per image"),
    "empty": (IMAGES[:0], LABELS[:0], "no images, expected at least one"),
}


@pytest.mark.parametrize(("images", "labels", "message"), BAD.values(), ids=BAD.keys())
def test_bad_arrays_are_refused_in_one_line(images: Any, labels: Any, message: str) -> None:
    with pytest.raises(DataInvalidError, match=message) as caught:
        check_arrays(images, labels, CLASSES, "x.npz (train)")
    text = str(caught.value)
    assert text.startswith("x.npz (train): found ")
    assert "\n" not in text
    assert text.count(": ") >= 2, "the remedy is missing"


def test_unknown_classes_still_bound_the_labels() -> None:
    with pytest.raises(DataInvalidError, match="labels from 0 to 1000000000, expected 0 to 3"):
        check_arrays(IMAGES, np.array([0, 1, 2, 10**9]), None, "x")


LAYOUTS = {
    "N×H×W": (IMAGES, (4, 1, 8, 8)),
    "N×1×H×W": (IMAGES[:, None], (4, 1, 8, 8)),
    "N×H×W×1": (IMAGES[..., None], (4, 1, 8, 8)),
    "N×3×H×W": (np.repeat(IMAGES[:, None], 3, 1), (4, 3, 8, 8)),
    "N×H×W×3": (np.repeat(IMAGES[..., None], 3, 3), (4, 3, 8, 8)),
}


@pytest.mark.parametrize(("images", "shape"), LAYOUTS.values(), ids=LAYOUTS.keys())
def test_every_layout_becomes_channels_first(images: Any, shape: tuple[int, ...]) -> None:
    checked, labels = check_arrays(images, LABELS[:, None].astype(np.uint8), CLASSES, "x")
    assert tuple(checked.shape) == shape
    assert checked.is_contiguous()
    assert all(np.array_equal(checked[:, channel], IMAGES) for channel in range(shape[1]))
    assert labels.dtype == torch.int64
    assert labels.tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("scale", [1, 255])
def test_floats_become_bytes(dtype: Any, scale: int) -> None:
    checked, _ = check_arrays((IMAGES / 255 * scale).astype(dtype), LABELS, CLASSES, "x")
    assert checked.dtype == torch.uint8
    assert np.abs(checked[:, 0].numpy().astype(int) - IMAGES).max() == 0


@pytest.mark.parametrize("above", [1.0000001, 1.0009])
def test_what_rounding_puts_above_one_is_white(above: float) -> None:
    """Not the one pixel by which all others are taken for shades of black."""
    checked, _ = check_arrays(with_pixel(above).astype(np.float32), LABELS, CLASSES, "x")
    assert sorted(checked.unique().tolist()) == [128, 255]


def valid() -> Domain:
    """Four splits of the shape of `other`, each of another grey than that."""
    parts = (
        Split(torch.full((4, 1, 8, 8), grey, dtype=torch.uint8), torch.tensor([0, 1, 0, 1]))
        for grey in (1, 2, 3, 4)
    )
    return Domain("toy", CLASSES, *parts)


def test_a_valid_domain_passes() -> None:
    domain = valid()
    assert check_domain(domain) is domain


def other(
    shape: tuple[int, ...] = (4, 1, 8, 8),
    labels: tuple[int, ...] = (0, 1, 0, 1),
    dtype: torch.dtype = torch.uint8,
) -> Split:
    return Split(torch.zeros(shape, dtype=dtype), torch.tensor(labels, dtype=torch.int64))


BAD_DOMAINS = {
    "one class": ({"classes": ("a",)}, r"^toy: found 1 class\(es\), expected at least 2"),
    "repeated name": ({"classes": ("a", "a")}, "^toy: found a class name that comes twice"),
    "empty split": ({"pool": other((0, 1, 8, 8), ())}, "^toy, pool split: found no images"),
    "absent class": ({"test": other(labels=(1, 1, 1, 1))}, "test split: found no sample of .*'a'"),
    "float images": ({"train": other(dtype=torch.float32)}, "train split: .* of torch.float32"),
    "channels last": ({"train": other((4, 8, 8, 3))}, "train split: .*, expected C×H×W"),
    "other size": ({"validation": other((4, 1, 9, 9))}, r"\(1, 9, 9\), \(1, 8, 8\) in train"),
    "other channels": ({"validation": other((4, 3, 8, 8))}, r"\(3, 8, 8\), \(1, 8, 8\) in train"),
    "int32 labels": (
        {"test": Split(other().images, torch.tensor([0, 1, 0, 1], dtype=torch.int32))},
        "labels of torch.int32, expected uint8 and int64",
    ),
}


@pytest.mark.parametrize(("change", "message"), BAD_DOMAINS.values(), ids=BAD_DOMAINS.keys())
def test_bad_domains_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(DataInvalidError, match=message):
        check_domain(replace(valid(), **change))


@pytest.mark.parametrize(("first", "second"), combinations(PARTS, 2))
@pytest.mark.parametrize(("shared", "refused"), [(0, False), (4, False), (5, True)])
def test_a_few_images_may_come_twice(first: str, second: str, shared: int, refused: bool) -> None:
    pixels = torch.arange(80 * 64, dtype=torch.int32) // 64
    grey = Split(pixels.to(torch.uint8).view(80, 1, 8, 8) + 100, torch.arange(80) % 2)
    ends = {first: grey.take(torch.arange(40)), second: grey.take(torch.arange(40, 80) - shared)}
    domain = replace(valid(), **ends)
    if refused:
        expected = (
            f"^toy, {second} split: found {shared} of 40 images that are in another split, too, "
            "expected at most 10%: leave them out of either"
        )
        with pytest.raises(DataInvalidError, match=expected):
            require_domain(domain, "target")
    else:
        assert require_domain(domain, "target") is domain


def test_a_domain_made_by_hand_is_checked_where_it_is_used() -> None:
    with pytest.raises(SettingsError, match=r"^target: found 'usps', expected a domain"):
        require_domain("usps", "target")
    with pytest.raises(DataInvalidError, match=r"^toy: found a class name that comes twice"):
        require_domain(replace(valid(), classes=("a", "a")), "target")
    domain = valid()
    assert require_domain(domain, "target") is domain
