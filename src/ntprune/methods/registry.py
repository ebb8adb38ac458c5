"""Methods by name."""

from __future__ import annotations

from typing import Any, TypeVar

from ntprune.methods.base import Method
from ntprune.registry import Registry

_METHODS: Registry[type[Method]] = Registry("method", "ntprune.methods")
M = TypeVar("M", bound=type[Method])


def method(cls: M) -> M:
    """Class decorator: make the method known by its `name`.

    Raises:
        SettingsError: the name is taken.
    """
    _METHODS.add(cls.name, cls)
    return cls


def method_names() -> list[str]:
    """All known methods, sorted."""
    return _METHODS.names()


def method_class(name: str) -> type[Method]:
    """The class of method `name`.

    Raises:
        UnknownNameError: no such method.
    """
    return _METHODS.get(name)


def make_method(name: str, **settings: Any) -> Method:
    """Method `name` with `settings`.

    Raises:
        UnknownNameError: no such method.
        SettingsError: an unknown setting or one outside its range.
    """
    return _METHODS.get(name)(**settings)
