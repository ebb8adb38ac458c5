"""The grammar of domain names: `base`, `scheme:argument`, and a class filter in brackets."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import torch

from ntprune.domains.domain import Split
from ntprune.errors import DataInvalidError

PATH_SCHEMES = ("npz", "folder")
_FILTERED = re.compile(r"(?P<base>.+)\[(?P<filter>[^\[\]]*)\]", re.DOTALL)


@dataclass(frozen=True)
class ParsedName:
    """A domain name taken apart.

    Attributes:
        full: as the user gave it.
        base: without the class filter.
        classes: the filter's class names or indices, or None where there is no filter.
    """

    full: str
    base: str
    classes: tuple[str, ...] | None

    @property
    def scheme(self) -> str:
        """What stands before the first colon, or ""."""
        return self.base.partition(":")[0] if ":" in self.base else ""

    @property
    def argument(self) -> str:
        """What stands after the first colon, or ""."""
        return self.base.partition(":")[2]

    @property
    def is_path(self) -> bool:
        """Whether the argument is a path."""
        return self.scheme in PATH_SCHEMES

    def identity(self, place: Path | None) -> str:
        """What names the deal into splits.

        Two spellings of one set (another path to the same file, all of its classes or some) must
        be dealt alike, or a thief's pool would hold what the defender trained on.

        Args:
            place: where the file or folder was found, if the argument is a path.
        """
        return self.base if place is None else f"{self.scheme}:{place.resolve().name}"


def parse_name(name: str) -> ParsedName:
    """Take `name` apart. Brackets at the end are always a class filter."""
    found = _FILTERED.fullmatch(name)
    if found is None:
        return ParsedName(name, name, None)
    return ParsedName(
        name, found["base"], tuple(part.strip() for part in found["filter"].split(","))
    )


@dataclass(frozen=True)
class Chosen:
    """Classes of a set, in the order they are wanted in.

    Attributes:
        indices: of the set's classes.
        total: how many these are.
    """

    indices: tuple[int, ...]
    total: int

    def of(self, split: Split) -> Split:
        """The rows of these classes alone, renumbered in their order."""
        renumbered = torch.full((self.total,), -1)
        renumbered[list(self.indices)] = torch.arange(len(self.indices))
        labels = renumbered[split.labels]
        kept = (labels >= 0).nonzero().flatten()
        return Split(split.images[kept], labels[kept])


def choose(parsed: ParsedName, classes: tuple[str, ...]) -> Chosen:
    """What the filter of a name leaves of `classes`: all, where there is none.

    Raises:
        DataInvalidError: a class that does not exist or comes twice, or fewer than two classes.
    """
    if parsed.classes is None:
        return Chosen(tuple(range(len(classes))), len(classes))
    chosen = [_index(part, classes, parsed.full) for part in parsed.classes if part]
    if len(set(chosen)) < len(chosen):
        raise DataInvalidError(f"{parsed.full}: a class comes twice in the filter: name each once")
    if len(chosen) < 2:
        raise DataInvalidError(
            f"{parsed.full}: found {len(chosen)} class(es) in the filter, expected at least 2: "
            f"choose from {_listed(classes)}"
        )
    return Chosen(tuple(chosen), len(classes))


def _index(part: str, classes: tuple[str, ...], full: str) -> int:
    # A name wins over an index: a set's classes may be called "2", "0", "1".
    if part in classes:
        return classes.index(part)
    if part.isascii() and part.isdigit() and int(part) < len(classes):
        return int(part)
    raise DataInvalidError(
        f"{full}: there is no class '{part}': choose from {_listed(classes)}, "
        f"or from the indices 0 to {len(classes) - 1}"
    )


def _listed(classes: tuple[str, ...]) -> str:
    shown = ", ".join(classes[:40])
    return shown if len(classes) <= 40 else f"{shown} and {len(classes) - 40} more"
