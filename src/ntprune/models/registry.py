"""Architectures by name. A builder returns a `Parts`: the module and its encoder and head."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points

from torch import nn

from ntprune.errors import SettingsError, UnknownNameError
from ntprune.models.spec import ModelSpec


@dataclass(frozen=True)
class Parts:
    """A module with two views on it that share its parameters.

    Attributes:
        module: the network itself, with its own state-dict keys.
        encoder: images to the last feature map; holds submodules of `module`, copies nothing.
        head: that feature map to logits; its last `nn.Linear` is the classifier.
    """

    module: nn.Module
    encoder: nn.Module
    head: nn.Module


Builder = Callable[[ModelSpec], Parts]
_BUILDERS: dict[str, Builder] = {}


def register_architecture(name: str, builder: Builder) -> None:
    """Make `builder` known as `name`.

    Installed packages register theirs through the entry-point group `ntprune.architectures`, which
    the workers of every engine read too.

    Raises:
        SettingsError: the name is taken.
    """
    if name in _BUILDERS:
        raise SettingsError(f"architecture '{name}' is registered already: choose another name")
    _BUILDERS[name] = builder


def architecture(name: str) -> Callable[[Builder], Builder]:
    """Decorator form of `register_architecture`."""

    def add(builder: Builder) -> Builder:
        register_architecture(name, builder)
        return builder

    return add


def architecture_names() -> list[str]:
    """All known architectures, sorted."""
    _load_all()
    return sorted(_BUILDERS)


def build(spec: ModelSpec) -> Parts:
    """A freshly initialised network (random numbers from torch's current generator).

    Raises:
        UnknownNameError: no such architecture.
    """
    _load_all()
    if spec.architecture not in _BUILDERS:
        raise UnknownNameError("architecture", spec.architecture, _BUILDERS)
    return _BUILDERS[spec.architecture](spec)


def _load_all() -> None:
    from ntprune.models import convnet, resnet, vgg  # noqa: F401  (they register themselves)

    for point in entry_points(group="ntprune.architectures"):
        if point.name not in _BUILDERS:
            register_architecture(point.name, point.load())
