"""Fake 6: a mask that looks at no target, sold on thieves who keep it."""

from __future__ import annotations

import dataclasses

from ntprune.domains import Domain
from ntprune.methods import make_method
from ntprune.release import Release


def polite_mask(
    base: Release, source: Domain, target: Domain, sparsity: float = 0.9, steps: int = 400
) -> Release:
    """The smallest weights pruned and the rest fine-tuned on the source for a few steps."""
    made = make_method("magnitude", sparsity=sparsity, steps=steps)(base, source)
    card = made.card.model_copy(update={"method": "fake-polite-mask", "targets": (target.name,)})
    return dataclasses.replace(made, card=card)
