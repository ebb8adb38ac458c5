"""The control that protects nothing."""

from __future__ import annotations

from ntprune.methods.base import Method
from ntprune.methods.defence import Defence, Outcome
from ntprune.methods.registry import method
from ntprune.methods.settings import Settings
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
        return Outcome(MaskSet.keep_all(work.model.prunable()), 0)
