"""A release as a folder: `model.safetensors`, `masks.safetensors`, `card.json`, `history.json`.

The unprotected model is never part of that folder. When it is known, it goes to the folder
`<name>.owner` beside it, which the owner keeps: an audit needs it as a control.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import Tensor

from ntprune.errors import (
    ModelMismatchError,
    OutputError,
    ReleaseInvalidError,
    first_fault,
    reading,
)
from ntprune.models import Model
from ntprune.release.atomic import require_new, sha256, write_file, write_folder
from ntprune.release.card import Card
from ntprune.sparsity import MaskSet

if TYPE_CHECKING:
    from ntprune.release.release import Release

WEIGHTS, MASKS, CARD, HISTORY = (
    "model.safetensors",
    "masks.safetensors",
    "card.json",
    "history.json",
)
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def owner_folder(path: Path) -> Path:
    """Where the unprotected model of the release at `path` is kept."""
    return path.parent / f"{path.name}.owner"


def save(release: Release, path: str | Path) -> Path:
    """Write `release` to the new or empty folder `path`, whole or not at all.

    Raises:
        OutputError: the folder is in use, not writable or full.
    """
    path = Path(path)
    release.masks.apply_(release.model.module)
    require_new(path)
    if release.base is not None:
        _keep_base(release.base, owner_folder(path))
    with write_folder(path) as draft:
        write_file(draft / WEIGHTS, _weights(release))
        write_file(draft / MASKS, to_bytes(_plain(dict(release.masks))))
        card = release.card.model_copy(
            update={
                "weights_sha256": sha256(draft / WEIGHTS),
                "masks_sha256": sha256(draft / MASKS),
            }
        )
        write_file(draft / HISTORY, json.dumps(release.history, indent=1).encode())
        write_file(draft / CARD, card.model_dump_json(indent=2, by_alias=True).encode())
    release.card = card
    return path


def save_weights(model: Model, path: str | Path) -> Path:
    """Write `model` to the new or empty folder `path` as plain weights and its blueprint.

    `model.safetensors` is the module's state dict, `model.json` its `ModelSpec`. It is no release:
    nothing is claimed of it.

    Raises:
        OutputError: the folder is in use, not writable or full.
    """
    path = Path(path)
    with write_folder(path) as draft:
        write_file(draft / WEIGHTS, to_bytes(_plain(model.module.state_dict())))
        write_file(draft / "model.json", model.spec.model_dump_json(indent=2).encode())
    return path


def _weights(release: Release) -> bytes:
    """What its file of weights holds."""
    return to_bytes(_plain(release.model.module.state_dict()))


def _keep_base(base: Release, place: Path) -> None:
    if not (place / CARD).exists():
        save(base, place)
    else:
        check_owner(place, base)


def check_owner(place: Path, base: Release) -> None:
    """Refuse an owner's folder, if it is there, that holds something else than `base`.

    Raises:
        OutputError: it does.
        ReleaseInvalidError: its card can't be read.
    """
    if not (place / CARD).exists():
        require_new(place)
        return
    kept, given = read_card(place), base.card
    # A model that was never saved has no hash yet.
    weights = given.weights_sha256 or hashlib.sha256(_weights(base)).hexdigest()
    if (kept.model, kept.source, kept.weights_sha256) != (given.model, given.source, weights):
        raise OutputError(
            f"{place} holds another model than the one this release is made from: move it away or "
            "choose another --out"
        )


def load(path: str | Path, device: torch.device | str = "cpu") -> Release:
    """Read a release, in eval mode. Nothing is unpickled; hashes are verified.

    Raises:
        ReleaseInvalidError: a file is missing, unreadable, damaged, of another format, holds values
            that are not finite, or was changed after the card was written.
        UnknownNameError: the architecture on the card is not known here; one that came from `wrap`
            is only where that was called.
        ModelMismatchError: the weights don't fit the architecture on the card.
    """
    from ntprune.release.release import Release

    path = Path(path)
    card = read_card(path)
    for name, wanted in ((WEIGHTS, card.weights_sha256), (MASKS, card.masks_sha256)):
        state = path / name
        with reading(state, ReleaseInvalidError):
            if not state.is_file():
                raise ReleaseInvalidError(
                    f"{state} is missing: copy the whole release folder again"
                )
            if sha256(state) != wanted:
                _explain_change(state)
    weights, masks = _read(path / WEIGHTS), _read(path / MASKS)
    for name, value in weights.items():
        if value.is_complex() or (value.is_floating_point() and value.dtype not in _FLOATS):
            raise ReleaseInvalidError(
                f"{path / WEIGHTS}: '{name}' is {value.dtype}, which no release holds: restore it "
                "from the original release"
            )
    broken = [name for name, value in weights.items() if not value.isfinite().all()]
    if broken:
        raise ReleaseInvalidError(
            f"{path / WEIGHTS}: '{broken[0]}' holds values that are not finite: no training that "
            "went well leaves them, and whoever fine-tunes the file gets nothing else"
        )
    model = Model.fresh(card.model, seed=0)
    try:
        model.module.load_state_dict(weights)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise ModelMismatchError(
            f"{path / WEIGHTS} does not fit architecture '{card.model.architecture}': {reason}"
        ) from error
    model.module.eval()
    return Release(model.to(device), MaskSet(masks), card, _history(path / HISTORY))


def read_card(path: Path) -> Card:
    """The card of the release folder `path`.

    Raises:
        ReleaseInvalidError: no folder, no card, one that can't be read, or not a card.
    """
    file = path / CARD
    with reading(file, ReleaseInvalidError):
        if not path.is_dir():
            raise ReleaseInvalidError(
                f"no release at {path}: give the folder that 'ntprune pretrain' or "
                "'ntprune protect' wrote"
            )
        if not file.is_file():
            raise ReleaseInvalidError(f"{file} is missing: {path} is not a release folder")
        document = file.read_bytes()
    try:
        return Card.model_validate_json(document)
    except ValidationError as error:
        fault = first_fault(error)
        raise ReleaseInvalidError(
            f"{file} is not a card of this version ({fault.where}: {fault.expected}): restore it "
            "from the original release"
        ) from error


def _read(file: Path) -> dict[str, Tensor]:
    try:
        return load_file(file)
    except (SafetensorError, OSError, ValueError) as error:
        raise ReleaseInvalidError(
            f"{file} cannot be read as safetensors ({error}): restore it from the original release"
        ) from error


def _history(file: Path) -> list[dict[str, Any]]:
    if not file.is_file():
        return []
    try:
        with reading(file, ReleaseInvalidError):
            history = json.loads(file.read_bytes())
    except (ValueError, RecursionError):
        history = None
    if not isinstance(history, list) or not all(isinstance(record, dict) for record in history):
        raise ReleaseInvalidError(
            f"{file} is not a list of training records: restore it or delete it, nothing needs it"
        )
    return history


def _explain_change(file: Path) -> None:
    head = file.read_bytes()[:8]
    # Pickle protocol 2 and later starts with \x80, torch's zip container with PK.
    if head[:1] == b"\x80" or head[:2] == b"PK":
        raise ReleaseInvalidError(
            f"{file} is a pickle, which is never loaded because it can run code: convert it to "
            "safetensors where you trust it"
        )
    _read(file)
    raise ReleaseInvalidError(
        f"{file} was changed after its card was written (SHA-256 differs): restore the original "
        "or protect the model again"
    )


def _plain(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    # safetensors refuses shared storage and foreign strides.
    return {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, value in tensors.items()
    }
