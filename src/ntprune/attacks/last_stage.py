"""The deepest layers thrown away and trained anew on what the others offer."""

from __future__ import annotations

import torch
from torch import nn

from ntprune.attacks.base import Attack
from ntprune.attacks.registry import attack
from ntprune.attacks.theft import Theft, ThreatModel
from ntprune.engine import TrainLog


@attack
class LastStage(Attack):
    """Re-initialises the encoder's last stage and the head, keeps the rest, trains everything.

    Defences do most of their damage deep in the network, where sparsity is highest, while early
    layers transfer to any task (Yosinski et al. 2014; re-initialising layer by layer: Alabdulmohsin
    et al. 2021).
    """

    name = "last-stage"
    summary = "last stage of the encoder and head fresh, then all weights"
    threat = ThreatModel(
        weights=True,
        labels=True,
        source=False,
        mask="free",
        head="new",
        knowledge="the architecture",
    )

    def run(self, theft: Theft) -> TrainLog:
        """Fresh parameters and statistics for the last stage, then fine-tuning."""
        fresh = theft.fresh().encoder
        with torch.no_grad():
            for name in last_stage(theft.model.encoder):
                part = theft.model.encoder.get_submodule(name)
                part.load_state_dict(fresh.get_submodule(name).state_dict())
        return theft.train()


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
