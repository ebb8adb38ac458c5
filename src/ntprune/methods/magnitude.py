"""The control that prunes the smallest weights."""

from __future__ import annotations

from torch import Tensor

from ntprune.methods.defence import Defence
from ntprune.methods.registry import method
from ntprune.methods.source_only import SourceOnly
from ntprune.sparsity import GlobalMagnitude


@method
class Magnitude(SourceOnly):
    """Keeps the largest magnitudes over all layers and fine-tunes on the source."""

    name = "magnitude"
    summary = "global magnitude pruning, fine-tuned on the source only"

    def choose(self, work: Defence) -> list[Tensor]:
        """The largest magnitudes."""
        weights = list(work.model.prunable().values())
        return GlobalMagnitude().masks(weights, self.settings.sparsity)
