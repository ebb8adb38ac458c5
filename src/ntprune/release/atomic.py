"""Writes that either happen whole or not at all."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ntprune.errors import OutputError


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the operating system says about `path` into one line with a remedy."""
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise OutputError(
            f"cannot write {path}: {reason}; nothing half-written was left: free space or choose "
            "a folder you may write to, then run the same command again"
        ) from error


def write_file(path: Path, data: bytes) -> None:
    """Write `data` to `path` by renaming a finished temporary file beside it.

    Raises:
        OutputError: the folder is not writable or full.
    """
    with draft_of(path) as file:
        file.write(data)


@contextmanager
def draft_of(path: Path) -> Iterator[BinaryIO]:
    """A temporary file that becomes `path` when the block ends without an error.

    Raises:
        OutputError: the folder is not writable or full.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = _draft(path)
        try:
            with draft.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise


def sweep(file: Path) -> None:
    """Remove the drafts of `file` that killed processes left; no other may be writing it."""
    for draft in file.parent.glob(f".{file.name}.*"):
        draft.unlink(missing_ok=True)


def discard(file: Path) -> None:
    """Remove `file`, and its folder if nothing else is in it.

    Raises:
        OutputError: the operating system refuses.
    """
    with writing(file):
        file.unlink(missing_ok=True)
        if file.parent.is_dir() and not any(file.parent.iterdir()):
            file.parent.rmdir()


def require_new(path: Path) -> None:
    """Find out before the work, not after it, whether `path` can become a new folder.

    Raises:
        OutputError: `path` exists and is not empty or can't be replaced, or its place is not
            writable.
    """
    with writing(path):
        if path.is_symlink() or (path.exists() and _stays(path)):
            raise OutputError(
                f"{path} is a link, a mounted folder or the current one, which a finished folder "
                f"cannot take the place of: choose a new one, for instance --out {path / 'out'}"
            )
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise OutputError(f"{path} exists already: remove it or choose another --out")
        _draft(path).exists()  # or its name is too long for the system
        # Nothing is made yet: another mistake may still be found.
        place = next(parent for parent in path.absolute().parents if parent.exists())
        with tempfile.TemporaryFile(dir=place):
            pass


@contextmanager
def write_folder(path: Path) -> Iterator[Path]:
    """A temporary folder that becomes `path` when the block ends without an error.

    Raises:
        OutputError: as `require_new`, or the disk is full.
    """
    require_new(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = _draft(path)
        draft.mkdir()
        try:
            yield draft
            if path.exists():
                path.rmdir()
            os.replace(draft, path)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise


def _stays(path: Path) -> bool:
    """Whether the operating system would not let another folder be renamed to this one."""
    return path.name in ("", "..") or path.is_mount() or path.samefile(Path.cwd())


def _draft(path: Path) -> Path:
    """What becomes `path`, beside it; made by the caller, so that the umask holds for it."""
    return path.parent / f".{path.name}.{secrets.token_hex(4)}"


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
