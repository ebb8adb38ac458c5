"""The classifier of the target, which the authors fit once, before anything is pruned."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ntprune.engine import Resident, feature_maps, generator
from ntprune.engine.loop import make_optimiser
from ntprune.methods.defence import TargetData
from ntprune.methods.paper.batches import one_pass
from ntprune.methods.paper.settings import PaperSettings
from ntprune.models import Model


class PaperHead:
    """h_t of one target.

    It starts as a copy of the released head where the target has the source's classes, and as a new
    one elsewhere, which the authors have no case of.

    Args:
        model: whose encoder it sits on.
        target: the defender's slice of the target.
        settings: of the preset.
        seed: of a new head and of the order of images.
    """

    def __init__(
        self, model: Model, target: TargetData, settings: PaperSettings, seed: int
    ) -> None:
        shared = target.classes == model.spec.classes
        start = model if shared else model.new_head(target.classes, seed)
        self.head: nn.Module = copy.deepcopy(start.head).requires_grad_(False).eval()
        self.target = target
        self.classes = len(target.classes)
        self.settings = settings
        self._draw = generator(seed, "paper", "head", target.name)

    def fit(self, model: Model) -> float:
        """Fit to the encoder as it is, frozen and in eval mode; afterwards the head is frozen.

        What the patience of the authors looks at is not known: here it is the loss on the
        defender's validation images, and the weights of the last pass are kept.

        Returns:
            That validation loss (nats).
        """
        train, held = (
            self._features(model, data) for data in (self.target.train, self.target.validation)
        )
        parameters = list(self.head.requires_grad_(True).parameters())
        optimiser = make_optimiser(parameters, "adam", self.settings.lr, self.settings.weight_decay)
        best, loss, waited = float("inf"), float("inf"), 0
        for _ in range(self.settings.head_epochs):
            self._descend(train, optimiser)
            with torch.no_grad():
                loss = float(F.cross_entropy(self.head(held.images), held.labels))
            best, waited = (loss, 0) if loss < best else (best, waited + 1)
            if waited == self.settings.head_patience:
                break
        self.head.requires_grad_(False)
        return loss

    def __call__(self, features: Tensor) -> Tensor:
        """Logits of the target's classes."""
        logits: Tensor = self.head(features)
        return logits

    def state_dict(self) -> dict[str, Any]:
        """The weights and the orders to come."""
        return {"head": self.head.state_dict(), "draw": self._draw.get_state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict` of the same target."""
        self.head.load_state_dict(state["head"])
        self._draw.set_state(state["draw"])

    def _descend(self, train: Resident, optimiser: torch.optim.Optimizer) -> None:
        self.head.train()
        for ((features, labels),) in one_pass([train], self.settings.batch, self._draw):
            optimiser.zero_grad(set_to_none=True)
            F.cross_entropy(self.head(features), labels).backward()
            optimiser.step()
        self.head.eval()

    @staticmethod
    def _features(model: Model, data: Resident) -> Resident:
        # The encoder stands still, so every image goes through it once; features take its place.
        model.module.eval()
        features = feature_maps(model, data.images)
        return Resident(features, data.labels[: len(features)])
