"""Attacks by name."""

from __future__ import annotations

from typing import TypeVar

from ntprune.attacks.base import Attack
from ntprune.registry import Registry

_ATTACKS: Registry[type[Attack]] = Registry("attack", "ntprune.attacks")
A = TypeVar("A", bound=type[Attack])


def attack(cls: A) -> A:
    """Class decorator: make the attack known by its `name`.

    Raises:
        SettingsError: the name is taken.
    """
    _ATTACKS.add(cls.name, cls)
    return cls


def attack_names() -> list[str]:
    """All known attacks, sorted."""
    return _ATTACKS.names()


def attack_class(name: str) -> type[Attack]:
    """The class of attack `name`.

    Raises:
        UnknownNameError: no such attack.
    """
    return _ATTACKS.get(name)


def make_attack(name: str) -> Attack:
    """Attack `name`, ready to be called.

    Raises:
        UnknownNameError: no such attack.
    """
    return _ATTACKS.get(name)()
