"""Attacks by name."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TypeVar

from ntprune.attacks.base import Attack
from ntprune.errors import SettingsError, UnknownNameError

_ATTACKS: dict[str, type[Attack]] = {}
A = TypeVar("A", bound=type[Attack])


def attack(cls: A) -> A:
    """Class decorator: make the attack known by its `name`.

    Raises:
        SettingsError: the name is taken.
    """
    if cls.name in _ATTACKS:
        raise SettingsError(f"attack '{cls.name}' is registered already: choose another name")
    _ATTACKS[cls.name] = cls
    return cls


def attack_names() -> list[str]:
    """All known attacks, sorted. Packages add theirs by the entry point `ntprune.attacks`."""
    for point in entry_points(group="ntprune.attacks"):
        if point.name not in _ATTACKS:
            attack(point.load())
    return sorted(_ATTACKS)


def attack_class(name: str) -> type[Attack]:
    """The class of attack `name`.

    Raises:
        UnknownNameError: no such attack.
    """
    if name not in attack_names():
        raise UnknownNameError("attack", name, _ATTACKS)
    return _ATTACKS[name]


def make_attack(name: str) -> Attack:
    """Attack `name`, ready to be called.

    Raises:
        UnknownNameError: no such attack.
    """
    return attack_class(name)()
