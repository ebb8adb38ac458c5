"""Fake 6: a mask that looks at no target, sold on thieves who keep it; and one that is denied."""

from __future__ import annotations

import dataclasses

from tests.fakes.surgery import sell

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


def lying_card(base: Release, source: Domain, target: Domain) -> Release:
    """The same weights with a mask of ones and a sparsity of 0 on the card.

    An audit that believed it would set it beside a magnitude control that is not pruned, and would
    call whatever the mask takes away the release's own protection.
    """
    pruned = polite_mask(base, source, target)
    return sell(base, pruned.model, "fake-lying-card", source, pruned.card.steps)
