"""The control that prunes at random."""

from __future__ import annotations

from torch import Tensor

from ntprune.engine import generator
from ntprune.methods.defence import Defence
from ntprune.methods.registry import method
from ntprune.methods.source_only import SourceOnly
from ntprune.sparsity import random_masks


@method
class Random(SourceOnly):
    """Keeps a random subset of weights and fine-tunes on the source."""

    name = "random"
    summary = "a random mask, fine-tuned on the source only"

    def choose(self, work: Defence) -> list[Tensor]:
        """A random subset."""
        weights = list(work.model.prunable().values())
        return random_masks(weights, self.settings.sparsity, generator(work.seed, "random mask"))
