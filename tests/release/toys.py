"""Small learnable domains and a small protected release, made in a second or two."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import load_file, save_file
from torch import Tensor, from_numpy

from ntprune.audit import Protocol, Recipe
from ntprune.domains import Domain, Split
from ntprune.domains.splits import hold_out_test, split_rest
from ntprune.methods import pretrain, protect
from ntprune.release import Release
from ntprune.release.atomic import sha256

CLASSES = ("flat", "upright", "falling", "rising")
TINY = {
    "sparsity": 0.8,
    "max_source_drop": 100.0,
    "batch": 32,
    "rounds": 2,
    "inner": 2,
    "finish": 2,
    "recover": 1,
    "refit": 2,
    "depth": 2,
    "every": 1,
}
PROTOCOL = Protocol(
    name="tiny/1",
    points=2,
    last=32,
    seeds=2,
    recipe=Recipe(lrs=(3e-3, 1e-2), min_steps=5, epochs=1),
    attacks=("finetune", "finetune-new-head", "masked", "masked-new-head"),
    controls={
        "unprotected": ("finetune", "finetune-new-head"),
        "magnitude": ("masked-new-head",),
        "random": ("finetune-new-head",),
        "null": ("null",),
    },
)


def arrays(seed: int, count: int = 400, *, size: int = 16, classes: int = 4) -> tuple[Any, Any]:
    """Grey images (uint8, count×size×size) of a bar in one of four directions, and labels.

    Odd seeds are dark bars on a bright ground: another domain with the same classes. From the
    fifth class on, bars are wider.
    """
    draw = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    rows, columns = np.mgrid[:size, :size]
    across = np.stack((rows, columns, rows - columns, rows + columns - size))
    places = draw.integers(3, size - 3, count)
    slanted = labels % 4 >= 2
    places[slanted] = draw.integers(-3, 4, count)[slanted]
    width = (2 + 2 * (labels // 4))[:, None, None]
    images = 60 + 120 * (np.abs(across[labels % 4] - places[:, None, None]) < width)
    images = images + draw.normal(0, 120, images.shape)
    images = 255 - images if seed % 2 else images
    return images.clip(0, 255).astype(np.uint8), labels


@lru_cache
def toy(seed: int, classes: int = 4) -> Domain:
    """A domain in memory; even seeds share their look, odd ones theirs."""
    images, labels = arrays(seed, classes=classes)
    names = CLASSES if classes == 4 else tuple(f"other-{i}" for i in range(classes))
    whole = Split(from_numpy(images).unsqueeze(1), from_numpy(labels))
    rest, test = hold_out_test(whole, names, f"toy{seed}")
    train, validation, pool = split_rest(rest, names, f"toy{seed}", 0)
    return Domain(f"toy{seed}", names, train, validation, pool, test)


@lru_cache
def base(source: Domain) -> Release:
    """A convnet of width 4 that knows `source` better than chance."""
    return pretrain("convnet", source, width=4, epochs=8, batch=32, lr=1e-2, device="cpu")


@lru_cache
def protected(source: Domain, target: Domain) -> Release:
    """That convnet after a few steps of `ntp`, whatever it lost."""
    return protect(base(source), source, target, device="cpu", **TINY)


def save_npz(path: Path, seed: int, **changes: Any) -> str:
    """Write the arrays of `seed` to `path`; returns the domain's name."""
    np.savez(path, **(dict(zip(("images", "labels"), arrays(seed), strict=True)) | changes))
    return f"npz:{path}"


def tamper(folder: Path, file: str, change: Any) -> None:
    """Rewrite a safetensors file of a release after `change(tensors)`; the card is not told."""
    tensors: dict[str, Tensor] = load_file(folder / file)
    change(tensors)
    save_file(tensors, folder / file)


def edit_card(folder: Path, change: Any) -> None:
    """Rewrite `card.json` after `change(card)`."""
    file = folder / "card.json"
    card = json.loads(file.read_text())
    change(card)
    file.write_text(json.dumps(card))


def reseal(folder: Path) -> None:
    """Put the hashes of what is there now on the card, as a forger would."""

    def change(card: dict[str, Any]) -> None:
        for part, file in (("weights", "model"), ("masks", "masks")):
            card[f"{part}_sha256"] = sha256(folder / f"{file}.safetensors")

    edit_card(folder, change)


def files(folder: Path) -> dict[str, bytes]:
    """Everything below `folder`, drafts included."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}
