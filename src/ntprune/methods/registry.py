"""Methods by name, and each one's presets."""

from __future__ import annotations

from typing import Any, TypeVar

from ntprune.errors import UnknownNameError
from ntprune.methods.base import Method
from ntprune.registry import Registry
from ntprune.release import DEFAULT_PRESET

# A preset is registered, and published as an entry point, as `name@preset`.
_METHODS: Registry[type[Method]] = Registry("method", "ntprune.methods")
M = TypeVar("M", bound=type[Method])


def method(cls: M) -> M:
    """Class decorator: make the method known by its `name` and `preset`.

    Raises:
        SettingsError: that preset of the name is taken.
    """
    _METHODS.add(_key(cls.name, cls.preset), cls)
    return cls


def method_names() -> list[str]:
    """All known methods, sorted."""
    return [name for name in _METHODS.names() if "@" not in name]


def preset_names(name: str) -> list[str]:
    """The presets of method `name`: `default`, then the others, sorted.

    Raises:
        UnknownNameError: no such method.
    """
    if name not in method_names():
        raise UnknownNameError("method", name, method_names())
    others = (key.partition("@") for key in _METHODS.names() if "@" in key)
    return [DEFAULT_PRESET, *(preset for of, _, preset in others if of == name)]


def method_class(name: str, preset: str = DEFAULT_PRESET) -> type[Method]:
    """The class of method `name` in that preset.

    Raises:
        UnknownNameError: no such method, or it has no such preset.
    """
    known = preset_names(name)
    if preset not in known:
        raise UnknownNameError(f"preset of {name}", preset, known)
    return _METHODS.get(_key(name, preset))


def make_method(name: str, *, preset: str = DEFAULT_PRESET, **settings: Any) -> Method:
    """Method `name` in that preset with `settings`.

    Raises:
        UnknownNameError: no such method, or it has no such preset.
        SettingsError: an unknown setting or one outside its range.
    """
    return method_class(name, preset)(**settings)


def _key(name: str, preset: str) -> str:
    return name if preset == DEFAULT_PRESET else f"{name}@{preset}"
