"""`folder:<path>`: one subfolder of images per class, the layout of torchvision's ImageFolder.

Either `path/train/<class>/*` and `path/test/<class>/*`, or `path/<class>/*`, of which a fifth
becomes the test split.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from ntprune.domains.domain import Split
from ntprune.domains.rawset import RawSet, Request
from ntprune.domains.registry import register
from ntprune.domains.text import one_line
from ntprune.errors import DataInvalidError

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")
LARGEST_DEFAULT = 224  # pixels a side
Files = list[tuple[Path, int]]


@register("folder:<path>", summary="image files, one folder per class, or train/ and test/ of them")
def load(request: Request) -> RawSet:
    """Read the folder whose path is the request's argument, every image squeezed to a square.

    Raises:
        DataInvalidError: no classes, a class without images, or an image that cannot be read.
    """
    path = Path(request.argument)
    parts = [path / "train", path / "test"]
    present = [part for part in parts if part.is_dir()]
    if len(present) == 1:
        raise DataInvalidError(
            f"{path}: found {present[0].name}/ alone, expected train/ and test/, or one folder "
            "per class: add the other"
        )
    roots = present or [path]
    classes = _classes(roots[0])
    listed = [_list(root, classes) for root in roots]
    size = request.size or _default_size(listed[0][0][0])
    loaded = [_load([file for file, _ in files], size) for files in listed]
    if len({images.shape[1] for images in loaded}) > 1:
        loaded = [images.expand(-1, 3, -1, -1).contiguous() for images in loaded]
    splits = [
        Split(images, torch.tensor([label for _, label in files]))
        for images, files in zip(loaded, listed, strict=True)
    ]
    return RawSet(splits[0], splits[1] if len(splits) == 2 else None, classes)


def _classes(root: Path) -> tuple[str, ...]:
    if not root.is_dir():
        raise DataInvalidError(f"{root}: found a file, expected a folder of class folders")
    names = sorted(
        entry.name for entry in root.iterdir() if entry.is_dir() and entry.name[0] != "."
    )
    if len(names) < 2:
        raise DataInvalidError(
            f"{root}: found {len(names)} class folder(s), expected at least 2: give every class a "
            "folder of its own"
        )
    return tuple(names)


def _list(root: Path, classes: tuple[str, ...]) -> Files:
    if set(_classes(root)) != set(classes):
        odd = sorted(set(_classes(root)) ^ set(classes))[0]
        raise DataInvalidError(f"{root}: class '{odd}' is in only one of train/ and test/")
    files: Files = []
    for label, name in enumerate(classes):
        found = sorted(file for file in (root / name).rglob("*") if file.suffix.lower() in SUFFIXES)
        if not found:
            raise DataInvalidError(
                f"{root / name}: found no image, expected {', '.join(SUFFIXES)} files: add some or "
                "remove the folder"
            )
        files.extend((file, label) for file in found)
    return files


def _default_size(first: Path) -> int:
    return min(*_read(first).size, LARGEST_DEFAULT)


def _open(file: Path, size: int) -> Image:
    from PIL.Image import Resampling

    image = _read(file)
    if image.mode[0] in "IF":
        raise DataInvalidError(
            f"{file}: found pixels of more than 8 bits (mode {image.mode}), expected 8: convert it"
        )
    image = image.convert("L" if image.mode in ("L", "1") else "RGB")
    return image.resize((size, size), Resampling.BILINEAR)


def _read(file: Path) -> Image:
    from PIL import Image

    try:
        with Image.open(file) as image:
            image.load()
            return image
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataInvalidError(
            f"{file}: cannot be read as an image ({one_line(error)}): replace or remove it"
        ) from error


def _load(files: list[Path], size: int) -> torch.Tensor:
    """uint8 N×1×size×size, or N×3×size×size from the first colour image on."""
    images = torch.empty((len(files), 1, size, size), dtype=torch.uint8)
    for index, file in enumerate(files):
        pixels = torch.from_numpy(np.array(_open(file, size)).reshape(size, size, -1))
        if pixels.shape[2] > images.shape[1]:
            images = images.expand(-1, 3, -1, -1).contiguous()
        images[index] = pixels.permute(2, 0, 1)
    return images
