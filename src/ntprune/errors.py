"""Every mistake a user can make, each saying what was found, what was expected and the remedy.

The command line prints the message of any `NtpruneError` as one line and exits with code 2.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import ValidationError


class NtpruneError(Exception):
    """Base of every error that the user can put right. The message is one line."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Errors cross process borders, whatever arguments their constructors take.
        return _restore, (type(self), str(self))


def _restore(kind: type[NtpruneError], message: str) -> NtpruneError:
    error = kind.__new__(kind)
    Exception.__init__(error, message)
    return error


@contextmanager
def reading(path: Path, kind: type[NtpruneError]) -> Iterator[None]:
    """Turn what the operating system says while `path` is read into one line of that kind."""
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        where = error.filename or path
        raise kind(f"cannot read {where}: {reason}: check the path and its permissions") from error


def out_of_memory(error: BaseException) -> bool:
    """Whether `error` says so: torch has a type of its own for GPUs alone."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and "allocate memory" in str(error))
    )


@dataclass(frozen=True)
class Fault:
    """A value that a pydantic model refused.

    Attributes:
        where: the field's path, `the document` for the whole.
        found: the value.
        expected: what should have been there, or what is wrong.
        unknown: whether there is no such field.
    """

    where: str
    found: Any
    expected: str
    unknown: bool


def first_fault(error: ValidationError) -> Fault:
    """The first of what `error` complains about."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or "the document"
    words = re.sub("^Input should be (a valid |valid )?", "expected ", first["msg"])
    return Fault(
        where,
        first["input"],
        words.removeprefix("Value error, "),
        first["type"] == "extra_forbidden",
    )


class UnknownNameError(NtpruneError):
    """A domain, model, method, attack, engine or protocol that does not exist.

    Args:
        kind, name: of what was asked for.
        known: names to choose from.
        remedy: what else can be done.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], remedy: str = "") -> None:
        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
        hint = f"did you mean '{near[0]}'? " if near else ""
        super().__init__(f"unknown {kind} '{name}': {hint}choose one of {', '.join(names)}{remedy}")


class DataMissingError(NtpruneError):
    """A file or folder of a domain is not there."""


class DataInvalidError(NtpruneError):
    """Images, labels or splits that no experiment can be run on."""


class ModelMismatchError(NtpruneError):
    """A model that does not fit the data, the weights or the split into encoder and head."""


class ReleaseInvalidError(NtpruneError):
    """A release folder that is missing, damaged, unsafe to load or changed after its card."""


class SettingsError(NtpruneError):
    """A setting outside its range, or settings that contradict each other."""


class LayerCollapseError(SettingsError):
    """A sparsity so high that a layer would lose all its weights."""


class ConstraintError(NtpruneError):
    """No checkpoint kept the source accuracy inside `max_source_drop`.

    Args:
        lost: percentage points of source validation accuracy that the best checkpoint lost.
        allowed: how many were allowed.
    """

    _WORDS = re.compile(r"no checkpoint kept the source accuracy: the best lost ([\d.]+) ")

    def __init__(self, lost: float, allowed: float) -> None:
        super().__init__(
            f"no checkpoint kept the source accuracy: the best lost {lost:.2f} percentage points "
            f"on validation data, {allowed:g} are allowed; lower the sparsity or raise "
            "max_source_drop"
        )

    @classmethod
    def lost_in(cls, line: str) -> float | None:
        """What was lost, from the line that a command ended with; `None` if it says another thing.

        >>> ConstraintError.lost_in(str(ConstraintError(2.83, 0.75)))
        2.83
        """
        found = cls._WORDS.search(line)
        return float(found[1]) if found else None


class TrainingDivergedError(NtpruneError):
    """The loss became non-finite twice."""

    _WORDS = re.compile(r"the (loss|weights)( of the paper preset)? became ")

    @classmethod
    def said_in(cls, line: str) -> bool:
        """Whether the line that a command ended with is a training's of this kind."""
        return bool(cls._WORDS.search(line))


class OutputError(NtpruneError):
    """An output folder that holds something else, cannot be written or is full."""


class AuditError(NtpruneError):
    """An audit that cannot be run or resumed as asked."""
