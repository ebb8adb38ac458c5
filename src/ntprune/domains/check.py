"""The door check: what comes from outside is put in order, or refused with a remedy."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor

from ntprune.domains.domain import Domain, Split
from ntprune.errors import DataInvalidError, SettingsError

SMALLEST = 8  # pixels a side
PARTS = ("train", "validation", "pool", "test")
ROUNDING = 1e-3  # by which float pixels may be above 1
SHARED = 0.1  # of a split may lie in another one, too: image sets do repeat themselves
Array = np.ndarray[Any, np.dtype[Any]]


def check_arrays(
    images: Array | Tensor, labels: Array | Tensor, classes: tuple[str, ...] | None, where: str
) -> tuple[Tensor, Tensor]:
    """Bring images and labels into the form a `Split` holds.

    Args:
        images: N×H×W, N×H×W×C or N×C×H×W, C being 1 or 3, H = W >= 8; uint8, or finite floats in
            [0, 1] or [0, 255].
        labels: integers, N or N×1, 0 to `len(classes) - 1`.
        classes: class names, or None where they are not known yet; then labels are only required
            to be fewer than images.
        where: the file or option, for messages.

    Returns:
        Images, uint8 N×C×H×W, and labels, int64 N.

    Raises:
        DataInvalidError: anything else.
    """
    pixels, marks = np.asarray(images), np.asarray(labels)
    pixels = _shaped(_bytes(pixels, where), where)
    marks = _label_vector(marks, where)
    if len(pixels) != len(marks):
        _refuse(where, f"{len(pixels)} images and {len(marks)} labels", "one label per image")
    if not len(pixels):
        _refuse(where, "no images", "at least one of every class", "add images")
    limit = len(marks) if classes is None else len(classes)
    low, high = int(marks.min()), int(marks.max())
    if low < 0 or high >= limit:
        _refuse(
            where,
            f"labels from {low} to {high}",
            f"0 to {limit - 1}",
            "renumber the classes from 0 without gaps",
        )
    return torch.from_numpy(pixels), torch.from_numpy(marks.astype(np.int64))


def check_domain(domain: Domain) -> Domain:
    """Check the four splits of a domain against each other; returns `domain` itself.

    Raises:
        DataInvalidError: fewer than two classes, class names that repeat, a split that is empty,
            malformed, of another shape than `train`, or without a sample of some class.
    """
    count = len(domain.classes)
    if count < 2:
        _refuse(domain.name, f"{count} class(es)", "at least 2", "add a class")
    if len(set(domain.classes)) < count:
        _refuse(domain.name, "a class name that comes twice", "distinct class names")
    shape = tuple(domain.train.images.shape[1:])
    for part in PARTS:
        _check_split(getattr(domain, part), domain.classes, shape, f"{domain.name}, {part} split")
    return domain


def require_domain(value: object, what: str) -> Domain:
    """`value`, if something can be learnt of it and measured on it.

    Raises:
        SettingsError: it is no domain but, say, the name of one.
        DataInvalidError: as `check_domain`, which one made by hand has not passed; or more than
            `SHARED` of a split lie in another one, too.
    """
    if not isinstance(value, Domain):
        raise SettingsError(
            f"{what}: found {value!r}, expected a domain, for instance ntprune.domain('usps')"
        )
    check_domain(value)
    _check_apart(value)
    return value


def require_content(domain: Domain, content_hash: str, whose: str) -> None:
    """Refuse `domain` if its images, labels or class names are others than those of `whose`.

    Args:
        domain: as it was found here.
        content_hash: what `Domain.content_hash` was.
        whose: what was measured or made with that data.

    Raises:
        DataInvalidError: they are.
    """
    if domain.content_hash != content_hash:
        raise DataInvalidError(
            f"the data of '{domain.name}' is not what {whose} was made with: use the same files, "
            "or from Python the domain itself if it has a size or seed of its own"
        )


def _check_apart(domain: Domain) -> None:
    """What one side has seen is no measure of it, nor is it news to the other."""
    known: set[int] = set()
    for part in PARTS:
        found = _fingerprints(getattr(domain, part))
        shared = sum(one in known for one in found)
        if shared > SHARED * len(found):
            _refuse(
                f"{domain.name}, {part} split",
                f"{shared} of {len(found)} images that are in another split, too",
                f"at most {SHARED:.0%}",
                "leave them out of either",
            )
        known.update(found)


def _fingerprints(split: Split) -> list[int]:
    """A number for each image, the same for equal pixels."""
    return [hash(image.tobytes()) for image in split.images.numpy()]


def _check_split(
    split: Split, classes: tuple[str, ...], shape: tuple[int, ...], where: str
) -> None:
    found = tuple(split.images.shape[1:])
    if split.images.dtype != torch.uint8 or split.labels.dtype != torch.int64:
        types = f"images of {split.images.dtype}, labels of {split.labels.dtype}"
        _refuse(where, types, "uint8 and int64", "pass them through check_arrays")
    checked, _ = check_arrays(split.images, split.labels, classes, where)
    if tuple(checked.shape[1:]) != found:
        _refuse(where, f"images of {found}", "C×H×W", "pass them through check_arrays")
    if found != shape:
        _refuse(where, f"images of {found}, {shape} in train", "one C×H×W in all splits", "resize")
    absent = (torch.bincount(split.labels, minlength=len(classes)) == 0).nonzero().flatten()
    if len(absent):
        _refuse(
            where,
            f"no sample of class '{classes[int(absent[0])]}'",
            "at least one of every class",
            "add images or leave the class out with a class filter such as name[0,1]",
        )


def _to_bytes(pixels: Array) -> str:
    """How pixels of another type than uint8 become such without being cut off."""
    if pixels.dtype.kind == "b":
        return "convert them with 255 * images.astype('uint8')"
    within = pixels.dtype.kind in "iu" and pixels.size and 0 <= pixels.min() <= pixels.max() <= 255
    if within:
        return "convert them with images.astype('uint8')"
    return "scale them to 0 to 255 first, and then convert them with images.astype('uint8')"


def _bytes(pixels: Array, where: str) -> Array:
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype.kind != "f":
        _refuse(
            where,
            f"images of type {pixels.dtype}",
            "uint8 from 0 to 255, or floats",
            _to_bytes(pixels),
        )
    if not np.isfinite(pixels).all():
        _refuse(where, "pixels that are NaN or infinite", "finite pixels", "repair the images")
    low, high = (float(pixels.min()), float(pixels.max())) if pixels.size else (0.0, 0.0)
    if low < 0 or high > 255:
        _refuse(
            where,
            f"float pixels from {low:.4g} to {high:.4g}",
            "[0, 1] or [0, 255]",
            "undo the normalisation before saving",
        )
    if 1 + ROUNDING < high < 2:
        # As shares it is out of range, as 0 to 255 it is black.
        _refuse(
            where,
            f"float pixels up to {high:.6g}",
            "[0, 1] or [0, 255]",
            "clip them to [0, 1] before saving, as resizing may overshoot",
        )
    scaled = 255 * np.minimum(pixels, 1) if high <= 1 + ROUNDING else pixels
    rounded: Array = np.rint(scaled).astype(np.uint8)
    return rounded


def _shaped(pixels: Array, where: str) -> Array:
    """N×C×H×W from any accepted layout."""
    shape = pixels.shape
    if len(shape) == 3:
        pixels = pixels[:, None]
    elif len(shape) != 4:
        _refuse(where, f"images of shape {shape}", "N×H×W, N×H×W×C or N×C×H×W")
    elif shape[1] not in (1, 3) or (shape[2] != shape[3] and shape[3] in (1, 3)):
        pixels = pixels.transpose(0, 3, 1, 2)
    _, channels, height, width = pixels.shape
    if channels not in (1, 3):
        _refuse(where, f"images of shape {shape}", "1 or 3 channels", "save grey or RGB images")
    if height != width or height < SMALLEST:
        _refuse(
            where,
            f"images of {height}×{width} pixels",
            f"square ones of at least {SMALLEST}×{SMALLEST}",
            "crop or resize them",
        )
    return np.ascontiguousarray(pixels)


def _label_vector(labels: Array, where: str) -> Array:
    if labels.dtype.kind not in "iu":
        _refuse(where, f"labels of type {labels.dtype}", "integers", "save them as int64")
    if labels.ndim == 2 and labels.shape[1] == 1:
        return labels[:, 0]
    if labels.ndim != 1:
        _refuse(where, f"labels of shape {labels.shape}", "N or N×1", "save one class per image")
    return labels


def _refuse(where: str, found: str, expected: str, remedy: str = "save the arrays so") -> NoReturn:
    raise DataInvalidError(f"{where}: found {found}, expected {expected}: {remedy}")
