"""Things by name: what ships with ntprune registers itself, packages add theirs by entry point."""

from __future__ import annotations

import warnings
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from ntprune.errors import SettingsError, UnknownNameError

T = TypeVar("T")


class Registry(Generic[T]):
    """Names of one kind.

    Args:
        kind: what messages call an entry, for instance `attack`.
        group: entry-point group that installed packages publish theirs under. Workers of every
            engine read it too.
        remedy: what a message about an unknown name says beside the names.
    """

    def __init__(self, kind: str, group: str, remedy: str = "") -> None:
        self.kind = kind
        self.group = group
        self.remedy = remedy
        self._entries: dict[str, T] = {}
        self._passing: set[str] = set()

    def add(self, name: str, entry: T, *, passing: bool = False) -> None:
        """Make `entry` known as `name`.

        It takes the place of what a package has published under that name, or of what was entered
        as passing.

        Args:
            name, entry: what is entered.
            passing: whether another entry may take its place.

        Raises:
            SettingsError: the name is taken.
        """
        if name in self._entries and name not in self._passing:
            raise SettingsError(f"{self.kind} '{name}' is registered already: choose another name")
        self._entries[name] = entry
        (self._passing.add if passing else self._passing.discard)(name)

    def names(self) -> list[str]:
        """All known names, sorted; a package whose entry can't be imported is warned of."""
        for point in entry_points(group=self.group):
            try:
                self._load(point)
            except SettingsError as error:
                warnings.warn(str(error), stacklevel=2)
        return sorted(self._entries)

    def get(self, name: str) -> T:
        """The entry called `name`.

        Raises:
            UnknownNameError: there is none.
            SettingsError: a package has published it and can't be imported.
        """
        if name not in self._entries:
            for point in entry_points(group=self.group, name=name):
                self._load(point)
        if name not in self._entries:
            self.names()
            raise UnknownNameError(self.kind, name, self._entries, self.remedy)
        return self._entries[name]

    def _load(self, point: EntryPoint) -> None:
        if point.name in self._entries:
            return
        try:
            entry = point.load()
        except Exception as error:
            raise SettingsError(
                f"{self.kind} '{point.name}' cannot be imported from {point.value} "
                f"({type(error).__name__}: {error}): repair or remove the package that has it"
            ) from error
        # Loading imports the module, whose decorator may have entered the name by now.
        if point.name not in self._entries:
            self._entries[point.name] = entry
            self._passing.add(point.name)
