"""The state of a run on disk: a run that was stopped goes on where it was."""

from __future__ import annotations

import hashlib
import json
import pickle
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

import torch

from ntprune.domains import Domain
from ntprune.errors import OutputError
from ntprune.models import Model
from ntprune.release.atomic import draft_of, sweep
from ntprune.release.card import versions

# Of what methods save: raised when a state of before could not be gone on from.
STATE = 8


class _Hashed:
    """Writes to `file` and hashes what is written: a copy in memory may not fit beside the run."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.sha256.update(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()


class Checkpoint:
    """One file, replaced as a whole, that belongs to one command.

    Its first line is JSON: what the result of the run depends on, and the SHA-256 of the rest. The
    rest is the state as `torch.save` writes it: tensors, numbers, strings, and lists, tuples and
    dicts of them. Nothing else is unpickled.

    Args:
        folder: where the file lies; made when it is needed.
        identity: everything that the result depends on, JSON values by name.

    Attributes:
        file: the file.
    """

    # The share of a run's time that may go into writing: a large network is saved less often.
    SHARE = 0.02

    def __init__(self, folder: Path, identity: Mapping[str, Any]) -> None:
        self.file = folder / "state"
        self.identity = json.loads(json.dumps(identity))
        self._next = 0.0

    def check(self) -> None:
        """Make sure that what is there, if anything, is of the same command.

        Raises:
            OutputError: it is of another command, or damaged.
        """
        if self.file.is_file():
            with self.file.open("rb") as file:
                self._check(file.readline())

    def load(self) -> dict[str, Any]:
        """The state that was saved last, on the CPU; empty if there is none.

        Raises:
            OutputError: it is of another command, or damaged.
        """
        sweep(self.file)
        if not self.file.is_file():
            return {}
        with self.file.open("rb") as file:
            digest = self._check(file.readline())
            start = file.tell()
            if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                raise self._damaged()
            file.seek(start)
            try:
                state: dict[str, Any] = torch.load(file, "cpu", weights_only=True)
            except (RuntimeError, pickle.UnpicklingError) as error:
                raise self._damaged() from error
        return state

    def save(self, state: Mapping[str, Any]) -> None:
        """Replace what is there by `state`, unless that would take more than `SHARE` of the time.

        Raises:
            OutputError: the folder is not writable or full; what was saved before is still there.
        """
        start = time.monotonic()
        if start < self._next:
            return
        with draft_of(self.file) as file:
            rest = _Hashed(file)
            file.write(self._first(rest.sha256.hexdigest()))  # to be replaced by one as long
            try:
                torch.save(dict(state), cast(BinaryIO, rest))
            except RuntimeError as error:
                # Whatever stops a write (a full disk, Ctrl-C), torch ends with an error of its own.
                if error.__context__ is not None:
                    raise error.__context__ from None
                raise
            file.seek(0)
            file.write(self._first(rest.sha256.hexdigest()))
        end = time.monotonic()
        self._next = end + (end - start) / self.SHARE

    def _first(self, digest: str) -> bytes:
        return json.dumps({"identity": self.identity, "sha256": digest}).encode() + b"\n"

    def _check(self, first: bytes) -> str:
        """The hash on the `first` line, whose identity must be ours."""
        try:
            head = json.loads(first)
            theirs, digest = dict(head["identity"]), str(head["sha256"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise self._damaged() from error
        names = self.identity.keys() | theirs.keys()
        other = sorted(n for n in names if self.identity.get(n) != theirs.get(n))
        if other:
            raise OutputError(
                f"{self.file.parent} holds an unfinished run that began with other values of "
                f"{', '.join(other)}: give the same to go on with it, or remove that folder or "
                "choose another --out to begin anew"
            )
        return digest

    def _damaged(self) -> OutputError:
        return OutputError(
            f"{self.file} is damaged, so the run cannot go on: remove {self.file.parent} to begin "
            "anew"
        )


def beside(out: Path) -> Path:
    """Where the state of the run that makes the release `out` is kept."""
    return out.parent / f"{out.name}.partial"


def identity(
    method: str,
    settings: Mapping[str, Any],
    base: Model,
    source: Domain,
    targets: Sequence[Domain],
    seed: int,
    device: torch.device,
) -> dict[str, Any]:
    """Everything that the result of protecting `base` depends on, as far as we choose it."""
    return {
        "method": method,
        "base model": _digest(base),
        "source": _described(source),
        "targets": [_described(target) for target in targets],
        "seed": seed,
        "device": device.type,
        **{f"setting {name}": value for name, value in settings.items()},
        **{f"{name} (version)": value for name, value in versions().items()},
        "state (version)": STATE,
    }


def _described(domain: Domain) -> list[Any]:
    return [domain.name, domain.content_hash, domain.flips, domain.mixed]


def _digest(model: Model) -> str:
    """SHA-256 of blueprint and weights."""
    digest = hashlib.sha256(model.spec.model_dump_json().encode())
    for name, value in model.module.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
