"""Targets of all kinds: more, fewer and other classes than the source's, and none at all."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.conftest import tiny_domain

import ntprune
from ntprune.domains import Domain, Split, neighbours
from ntprune.engine import Resident
from ntprune.methods.defence import TargetData
from ntprune.methods.ntp import objective
from ntprune.methods.ntp.quick_thief import quick_thief
from ntprune.release import Release

SMALL: dict[str, Any] = {
    "sparsity": 0.8,
    "max_source_drop": 100.0,
    "batch": 32,
    "rounds": 2,
    "inner": 2,
    "finish": 3,
    "device": "cpu",
}


def splits(domain: Domain) -> tuple[Split, ...]:
    return domain.train, domain.validation, domain.pool, domain.test


def fits(release: Release, source: Domain) -> None:
    assert release.model.spec.classes == source.classes
    assert release.masks.sparsity == pytest.approx(0.8, abs=1e-3)
    values = release.model.module.state_dict().values()
    assert all(torch.isfinite(value).all() for value in values)


@pytest.mark.parametrize("combine", ["mean", "worst"])
def test_fewer_equal_and_more_classes_at_once(
    combine: str,
    tiny_base: Release,
    tiny_source: Domain,
    tiny_target: Domain,
    tiny_other: Domain,
    tiny_many: Domain,
) -> None:
    targets = [tiny_other, tiny_target, tiny_many]
    release = ntprune.protect(tiny_base, tiny_source, targets, combine=combine, **SMALL)
    fits(release, tiny_source)
    assert release.card.targets == ("tiny-other", "tiny-dark", "tiny-many")
    for target in targets:
        reached = release.history[-1][f"thief: {target.name}"]
        assert -math.log(len(target.classes)) <= reached <= 0


def test_class_names_in_another_order_make_no_difference(
    tiny_base: Release, tiny_source: Domain, tiny_target: Domain
) -> None:
    """A thief reads names, so the released head is one he may keep."""
    order = [2, 0, 3, 1]
    places = torch.tensor(order).argsort()
    parts = {
        name: Split(split.images, places[split.labels])
        for name in ("train", "validation", "pool", "test")
        for split in (getattr(tiny_target, name),)
    }
    names = tuple(tiny_target.classes[i] for i in order)
    assert names != tiny_source.classes
    moved = replace(tiny_target, classes=names, **parts)
    one, two = (
        ntprune.protect(tiny_base, tiny_source, target, **SMALL).model.module.state_dict()
        for target in (tiny_target, moved)
    )
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_the_quick_thief_puts_on_a_head_of_the_targets_classes(
    tiny_base: Release, tiny_many: Domain, tiny_other: Domain
) -> None:
    model = tiny_base.model
    for target in (tiny_many, tiny_other):
        data = (
            Resident.of(split, model.preprocessing, torch.device("cpu"))
            for split in (target.train, target.validation)
        )
        given = TargetData(target.name, *data, target.classes, mixed=True)
        reached = quick_thief(model, given, 0, steps=80)
        assert -0.9 * math.log(len(target.classes)) < reached <= 0, "it learnt nothing"


def test_no_known_target(tiny_base: Release, tiny_source: Domain) -> None:
    made = [ntprune.protect(tiny_base, tiny_source, None, seed=s, **SMALL) for s in (1, 1, 2)]
    for release in made:
        fits(release, tiny_source)
        assert release.card.targets == ("neighbours of tiny-bright",)
    first, again, other = (r.model.module.state_dict() for r in made)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_neighbours_come_in_the_size_that_the_network_reads(tiny_source: Domain) -> None:
    base = ntprune.pretrain("convnet", tiny_source, width=4, size=12, epochs=0.1, device="cpu")
    assert base.model.preprocessing.size == 12
    assert neighbours(tiny_source, size=12).size == 12
    fits(ntprune.protect(base, tiny_source, None, **SMALL), tiny_source)


def test_a_control_needs_no_neighbours(tiny_base: Release, tiny_source: Domain) -> None:
    release = ntprune.protect(
        tiny_base, tiny_source, None, method="magnitude", sparsity=0.8, steps=2, device="cpu"
    )
    assert release.card.targets == ()


def test_neighbours_beside_a_named_target(
    tiny_base: Release, tiny_source: Domain, tiny_other: Domain
) -> None:
    targets = [tiny_other, neighbours(tiny_source)]
    release = ntprune.protect(tiny_base, tiny_source, targets, weights=(1, 2), **SMALL)
    assert release.card.targets == ("tiny-other", "neighbours of tiny-bright")


def test_a_frozen_encoder_is_protected_too(tiny_source: Domain, tiny_other: Domain) -> None:
    """Of a network of which only the head was trained: a thief trains all of it."""
    net = ntprune.pretrain("convnet", tiny_source, width=4, epochs=1, batch=32, device="cpu")
    net.model.module.features.requires_grad_(False)
    given = ntprune.wrap(
        net.model.module,
        encoder="features",
        head="classifier",
        classes=tiny_source.classes,
        preprocessing=net.model.preprocessing,
        name="frozen-encoder",
    )
    release = ntprune.protect(given, tiny_source, tiny_other, **SMALL)
    fits(release, tiny_source)
    name = "features.0.weight"
    old, new = (model.module.state_dict()[name] for model in (given, release.model))
    assert not torch.equal(old[release.masks[name]], new[release.masks[name]])


def test_only_what_may_be_mirrored_is(
    tiny_base: Release, tiny_source: Domain, tiny_other: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[int, bool]] = []

    class Told(objective.Batches):
        def __init__(self, data: Resident, *rest: Any, flip: bool = False, **more: Any) -> None:
            made.append((len(data), flip))
            super().__init__(data, *rest, flip=flip, **more)

    monkeypatch.setattr(objective, "Batches", Told)
    ntprune.protect(tiny_base, tiny_source, [replace(tiny_other, flips=True)], **SMALL)
    assert made == [(len(tiny_source.owner_train), False), (len(tiny_other.train), True)]


def test_rgb_neighbours() -> None:
    grey = tiny_domain("tiny", ("a", "b", "c"), seed=5)
    colours = (Split(s.images.repeat(1, 3, 1, 1), s.labels) for s in splits(grey))
    source = Domain("tiny-rgb", grey.classes, *colours)
    base = ntprune.pretrain("convnet", source, width=4, epochs=1, batch=32, device="cpu")
    fits(ntprune.protect(base, source, None, **SMALL), source)
