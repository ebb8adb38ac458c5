"""Files and folders with something wrong in them."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tests.release.toys import arrays, save_npz, tamper

Prepare = Callable[[Path], object]


def npz(**changes: Any) -> Prepare:
    """`x.npz` with those arrays in place of good ones."""
    return lambda tmp: save_npz(tmp / "x.npz", 0, **changes)


def split(part: str, count: int) -> Prepare:
    """`x.npz` with a train and a test part, of which one is cut down to `count` images."""

    def write(tmp: Path) -> None:
        images, labels = arrays(0)
        content = {f"{p}_images": images for p in ("train", "test")}
        content |= {f"{p}_labels": labels for p in ("train", "test")}
        content |= {f"{part}_images": images[:count], f"{part}_labels": labels[:count]}
        np.savez(tmp / "x.npz", **content)

    return write


def cut(file: str, share: float) -> Prepare:
    return lambda tmp: os.truncate(tmp / file, int((tmp / file).stat().st_size * share))


def spoil(file: str, content: bytes) -> Prepare:
    def write(tmp: Path) -> None:
        (tmp / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp / file).write_bytes(content)

    return write


def pictures(tmp: Path) -> None:
    for name in ("a", "b"):
        (tmp / "set" / name).mkdir(parents=True)
        for i in range(12):
            picture = Image.fromarray(np.full((16, 16), 20 * i, np.uint8))
            picture.save(tmp / "set" / name / f"{i}.png")


def both(*steps: Prepare) -> Prepare:
    return lambda tmp: [step(tmp) for step in steps]


def with_nan() -> Any:
    images = arrays(0)[0] / 255
    images[3, 2, 1] = np.nan
    return images


def relabelled(old: int, new: int) -> Any:
    labels = arrays(0)[1].copy()
    labels[labels == old] = new
    return labels


def pickled(tmp: Path) -> None:
    (tmp / "release" / "model.safetensors").write_bytes(pickle.dumps({"a": 1}))


def heavier(tmp: Path) -> None:
    tamper(tmp / "release", "model.safetensors", lambda t: t["classifier.2.bias"].add_(1))


def claimed(tmp: Path) -> None:
    """An audit of something else, as it was left."""
    (tmp / "out").mkdir()
    (tmp / "out" / "audit.json").write_text('{"protocol": {}}')
