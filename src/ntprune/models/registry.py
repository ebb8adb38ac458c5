"""Architectures by name. A builder returns a `Parts`: the module and its encoder and head."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import nn

from ntprune.models.layout import find_layout
from ntprune.models.spec import ModelSpec
from ntprune.registry import Registry


@dataclass(frozen=True)
class Parts:
    """A module with two views on it that share its parameters.

    Attributes:
        module: the network itself, with its own state-dict keys.
        encoder: images to the last feature map; holds submodules of `module`, copies nothing.
        head: that feature map to logits; its last `nn.Linear` is the classifier.
        layout: in which the module takes images and keeps its weights (`find_layout`); a builder
            need not say.
    """

    module: nn.Module
    encoder: nn.Module
    head: nn.Module
    layout: torch.memory_format = torch.channels_last


Builder = Callable[[ModelSpec], Parts]
_LAYOUTS: dict[tuple[object, ...], torch.memory_format] = {}  # of networks that were built before
_BUILDERS: Registry[Builder] = Registry(
    "architecture",
    "ntprune.architectures",
    "; one of your own is known where 'wrap' was called, elsewhere by an entry point "
    "(docs/extend/network.md)",
)


def register_architecture(name: str, builder: Builder, *, passing: bool = False) -> None:
    """Make `builder` known as `name`, until another takes its place if it is `passing`.

    Raises:
        SettingsError: the name is taken.
    """
    _BUILDERS.add(name, builder, passing=passing)
    _LAYOUTS.clear()  # it may take the place of one that was built already


def architecture(name: str) -> Callable[[Builder], Builder]:
    """Decorator form of `register_architecture`."""

    def add(builder: Builder) -> Builder:
        register_architecture(name, builder)
        return builder

    return add


def architecture_names() -> list[str]:
    """All known architectures, sorted."""
    return _BUILDERS.names()


def build(spec: ModelSpec) -> Parts:
    """A freshly initialised network (random numbers from torch's current generator).

    Raises:
        UnknownNameError: no such architecture.
    """
    parts = _BUILDERS.get(spec.architecture)(spec)
    known = spec.architecture, spec.stem, spec.width, spec.preprocessing
    if known not in _LAYOUTS:
        _LAYOUTS[known] = find_layout(parts.module, spec.preprocessing)
    return replace(parts, layout=_LAYOUTS[known])
