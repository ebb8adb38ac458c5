"""Where the deepest part of an encoder begins."""

from __future__ import annotations

from torch import nn


def last_stage(encoder: nn.Module) -> list[str]:
    """Names of the encoder's parts from the last one that holds weights on.

    A container that holds all weights is looked into: a ResNet ends in `layer4`, a plain sequence
    in its last convolution and what normalises it. A part that is a single layer is named `""`.
    """
    inside = ""
    while True:
        parts = dict(encoder.get_submodule(inside).named_children())
        weighty = [name for name, part in parts.items() if _has_weights(part)]
        if len(weighty) != 1:
            break
        inside = f"{inside}.{weighty[0]}".lstrip(".")
    if not weighty:
        return [inside]
    names = list(parts)
    return [f"{inside}.{name}".lstrip(".") for name in names[names.index(weighty[-1]) :]]


def _has_weights(part: nn.Module) -> bool:
    return any(parameter.dim() >= 2 for parameter in part.parameters())
