"""The control that protects nothing."""

from __future__ import annotations

import torch

from ntprune.methods.base import Defence, Method, Outcome, Settings
from ntprune.methods.registry import method
from ntprune.sparsity import MaskSet


@method
class Unprotected(Method):
    """Releases the model as it is."""

    name = "none"
    summary = "the unprotected model"
    reference = "control"
    Settings = Settings

    def run(self, work: Defence) -> Outcome:
        """Masks that keep everything."""
        kept = {n: torch.ones_like(p, dtype=torch.bool) for n, p in work.model.prunable().items()}
        return Outcome(MaskSet(kept), 0)
