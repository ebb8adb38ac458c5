"""`npz:<path>`: arrays saved with `numpy.savez`, MedMNIST files included.

Keys: `train_images`, `train_labels`, `test_images`, `test_labels`, and `val_images`, `val_labels`
where present, which join the training images; or `images` and `labels`, of which a fifth becomes
the test split. `class_names` is optional.
"""

from __future__ import annotations

import lzma
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from ntprune.domains.check import check_arrays
from ntprune.domains.domain import Split
from ntprune.domains.rawset import RawSet, Request
from ntprune.domains.registry import register
from ntprune.domains.text import one_line
from ntprune.errors import DataInvalidError

Arrays = dict[str, np.ndarray[Any, np.dtype[Any]]]
# What zipfile, zlib and numpy raise over damaged bytes, a shape too large for memory included.
DAMAGE = (
    *(OSError, EOFError, KeyError, RuntimeError, MemoryError, OverflowError),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError),
)
PARTS = ("train", "val", "test")


@register("npz:<path>", summary="arrays in a .npz file (train_images, train_labels, ...; MedMNIST)")
def load(request: Request) -> RawSet:
    """Read the file whose path is the request's argument.

    Raises:
        DataInvalidError: a file that is damaged, holds pickles, lacks keys or holds bad arrays.
    """
    path = Path(request.argument)
    arrays = _read(path)
    names = _class_names(arrays, path)
    if "images" in arrays and "labels" in arrays:
        parts = {"rest": _split(arrays, "", names, path)}
    elif {"train_images", "train_labels", "test_images", "test_labels"} <= arrays.keys():
        present = [part for part in PARTS if f"{part}_images" in arrays]
        parts = {part: _split(arrays, f"{part}_", names, path) for part in present}
    else:
        raise DataInvalidError(
            f"{path}: found the keys {', '.join(arrays) or '(none)'}, expected train_images, "
            "train_labels, test_images and test_labels, or images and labels: save them so"
        )
    test = parts.pop("test", None)
    rest, *more = parts.values()
    for part in more:
        rest = _join(rest, part, path)
    highest = max(int(split.labels.max()) for split in (rest, test) if split is not None)
    return RawSet(rest, test, names or tuple(map(str, range(highest + 1))))


def _read(path: Path) -> Arrays:
    try:
        archive = np.load(path, allow_pickle=False)
        if isinstance(archive, np.ndarray):
            raise DataInvalidError(
                f"{path}: found a single array, expected an .npz archive: save with numpy.savez"
            )
        with archive:
            arrays = {key: archive[key] for key in archive.files if _wanted(key)}
    except DAMAGE as error:
        raise DataInvalidError(
            f"{path}: cannot be read as .npz ({one_line(error)}): it is damaged or something "
            "else; fetch or save it again"
        ) from error
    except ValueError as error:
        raise DataInvalidError(
            f"{path}: holds pickled objects or is no .npz ({one_line(error)}): pickles are never "
            "loaded; save plain arrays, names as numpy.array([...], dtype=str)"
        ) from error
    for key, array in arrays.items():
        if not isinstance(array, np.ndarray):
            raise DataInvalidError(f"{path}: '{key}' is no array: save it with numpy.savez")
    return arrays


def _wanted(key: str) -> bool:
    return key in ("images", "labels", "class_names") or key.startswith(
        tuple(f"{part}_" for part in PARTS)
    )


def _class_names(arrays: Arrays, path: Path) -> tuple[str, ...] | None:
    if "class_names" not in arrays:
        return None
    names = arrays["class_names"]
    if names.ndim != 1 or names.dtype.kind not in "US":
        raise DataInvalidError(
            f"{path}: found class_names of type {names.dtype} and shape {names.shape}, expected "
            "one line of text per class: save numpy.array([...], dtype=str)"
        )
    try:
        texts = np.char.decode(names, "utf-8") if names.dtype.kind == "S" else names
    except UnicodeDecodeError as error:
        raise DataInvalidError(
            f"{path}: found class_names that are not UTF-8: save numpy.array([...], dtype=str)"
        ) from error
    return tuple(map(str, texts))


def _split(arrays: Arrays, prefix: str, names: tuple[str, ...] | None, path: Path) -> Split:
    keys = (f"{prefix}images", f"{prefix}labels")
    if keys[1] not in arrays:
        raise DataInvalidError(f"{path}: found {keys[0]} without {keys[1]}: save both or neither")
    where = f"{path} ({keys[0]}, {keys[1]})"
    return Split(*check_arrays(arrays[keys[0]], arrays[keys[1]], names, where))


def _join(rest: Split, more: Split, path: Path) -> Split:
    if rest.images.shape[1:] != more.images.shape[1:]:
        shapes = f"{tuple(rest.images.shape[1:])} and {tuple(more.images.shape[1:])}"
        raise DataInvalidError(f"{path}: found train and val images of {shapes}: save one shape")
    return rest.join(more)
