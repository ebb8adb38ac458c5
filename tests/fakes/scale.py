"""Fakes 1 and 5: scales that fixed learning rates stumble over."""

from __future__ import annotations

import torch
from tests.fakes.surgery import classifier, pairs, scale_input, sell

from ntprune.domains import Domain
from ntprune.release import Release


def scaled_convs(base: Release, source: Domain, target: Domain, by: float = 1e3) -> Release:
    """Convolutions before BatchNorm `by` times as large, running statistics along with them.

    BatchNorm divides the factor out again, so the network computes what it did, in either mode. But
    a step of a given length now turns the weights by a `by`-th of the angle, and no learning rate
    serves these weights and the others at once.
    """
    model = base.model.copy()
    for convolution, norm in pairs(model):
        with torch.no_grad():
            convolution.weight.mul_(by)
        scale_input(norm, by)
    return sell(base, model, "fake-scaled-convs", source)


def large_logits(base: Release, source: Domain, target: Domain) -> Release:
    """Logits times 1e4: every mistake sends a huge gradient into the network."""
    return _scaled_logits(base, source, 1e4, "fake-large-logits")


def small_logits(base: Release, source: Domain, target: Domain) -> Release:
    """Logits times 1e-4: the first steps of training overwrite the head."""
    return _scaled_logits(base, source, 1e-4, "fake-small-logits")


@torch.no_grad()
def _scaled_logits(base: Release, source: Domain, by: float, name: str) -> Release:
    model = base.model.copy()
    for parameter in classifier(model).parameters():
        parameter.mul_(by)
    return sell(base, model, name, source)
