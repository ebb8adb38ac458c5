"""Adaptation without labels."""

from __future__ import annotations

import torch
from tests.attacks.thefts import pruned, resident, state, steal

from ntprune.attacks.shot import pseudo_labels
from ntprune.engine import Resident
from ntprune.release import Release


def test_labels_are_never_read() -> None:
    samples = resident(1, 60)
    other = Resident(samples.images, samples.labels.flip(0) * 0)
    one, two = (state(steal("shot", pruned(), s, steps=12).model) for s in (samples, other))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_the_head_is_frozen_and_the_encoder_is_not() -> None:
    before, after = state(pruned().model), state(steal("shot", pruned(), steps=12).model)
    assert torch.equal(before["classifier.2.weight"], after["classifier.2.weight"])
    assert torch.equal(before["classifier.2.bias"], after["classifier.2.bias"])
    assert not torch.equal(before["features.0.weight"], after["features.0.weight"])


def test_pseudo_labels_follow_the_clusters_of_the_features() -> None:
    """On the source, where the features are good, they are about the labels."""
    source = resident(0, 100)
    found = pseudo_labels(pruned().model, source.images)
    right = (found == source.labels).float().mean()
    assert right > 0.7


def test_a_class_that_nothing_is_near_to_is_no_pseudo_label() -> None:
    model = pruned().model.copy()
    with torch.no_grad():
        model.module.get_parameter("classifier.2.bias")[2] = -1e4
    images = resident(0, 40).images
    assert 2 not in pseudo_labels(model, images).tolist()
    release = Release(model, pruned().masks, pruned().card)
    assert all(v.isfinite().all() for v in state(steal("shot", release, steps=3).model).values())
