"""Methods by name."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any, TypeVar

from ntprune.errors import SettingsError, UnknownNameError
from ntprune.methods.base import Method

_METHODS: dict[str, type[Method]] = {}
M = TypeVar("M", bound=type[Method])


def method(cls: M) -> M:
    """Class decorator: make the method known by its `name`.

    Raises:
        SettingsError: the name is taken.
    """
    if cls.name in _METHODS:
        raise SettingsError(f"method '{cls.name}' is registered already: choose another name")
    _METHODS[cls.name] = cls
    return cls


def method_names() -> list[str]:
    """All known methods, sorted. Packages add theirs by the entry point `ntprune.methods`."""
    for point in entry_points(group="ntprune.methods"):
        if point.name not in _METHODS:
            method(point.load())
    return sorted(_METHODS)


def method_class(name: str) -> type[Method]:
    """The class of method `name`.

    Raises:
        UnknownNameError: no such method.
    """
    if name not in method_names():
        raise UnknownNameError("method", name, _METHODS)
    return _METHODS[name]


def make_method(name: str, **settings: Any) -> Method:
    """Method `name` with `settings`.

    Raises:
        UnknownNameError, SettingsError
    """
    return method_class(name)(**settings)
