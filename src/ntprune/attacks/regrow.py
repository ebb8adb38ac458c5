"""Pruned weights filled again before fine-tuning, so that the whole capacity is back at once."""

from __future__ import annotations

import torch

from ntprune.attacks.base import Attack
from ntprune.attacks.registry import attack
from ntprune.attacks.theft import Theft, ThreatModel
from ntprune.engine import TrainLog


@attack
class Regrow(Attack):
    """Every exact zero of the encoder gets a weight of a freshly initialised network.

    A pruned filter that starts at zero gets a gradient only where a living one follows it; a filled
    one learns like any other. Fresh weights keep the scale of their initialisation: those that
    survived pruning are the large ones, and many times more of their size would drown them. Zeros
    are read off the weights, so that no mask need be known. (Regrowth with fresh random weights:
    Mocanu et al. 2018.)
    """

    name = "regrow"
    summary = "pruned weights refilled with fresh ones, then all weights"
    threat = ThreatModel(
        weights=True,
        labels=True,
        source=False,
        mask="free",
        head="any",
        knowledge="the architecture and how it is initialised",
    )

    def run(self, theft: Theft) -> TrainLog:
        """Refill, then fine-tune without the mask."""
        refill(theft)
        return theft.train()


@torch.no_grad()
def refill(theft: Theft) -> None:
    """Replace every zero among the encoder's parameters by the fresh network's value."""
    fresh = dict(theft.fresh().encoder_parameters())
    for name, parameter in theft.model.encoder_parameters():
        parameter.copy_(torch.where(parameter == 0, fresh[name], parameter))
