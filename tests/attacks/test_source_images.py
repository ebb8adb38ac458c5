"""Attacks that hold images of the source: mixed batches and repair."""

from __future__ import annotations

import pytest
import torch
from tests.attacks.thefts import START, base, pruned, resident, state, steal, tampered, toy

from ntprune.attacks import make_attack
from ntprune.attacks.transntl import Climb, corrupted
from ntprune.engine import Resident, evaluate, reestimate_batchnorm
from ntprune.models import Model


@pytest.mark.parametrize("name", ["mix", "transntl"])
def test_source_images_matter(name: str) -> None:
    samples, classes = resident(1, 40), toy(1).classes
    attack = make_attack(name)
    one, two = (
        state(attack(pruned(), samples, classes, source=s, steps=6).model)
        for s in (resident(0, 30), resident(0, 60))
    )
    assert not torch.equal(one["features.0.weight"], two["features.0.weight"])


@pytest.mark.parametrize("name", ["mix", "transntl"])
def test_the_order_of_class_names_costs_nothing(name: str) -> None:
    """One head serves both domains, in whatever order the target's classes come."""
    samples, classes = resident(1, 40), toy(0).classes
    back = tuple(reversed(classes))
    turned = Resident(samples.images, len(classes) - 1 - samples.labels)
    settings = {"source": resident(0, 40), "steps": 6}
    one = state(make_attack(name)(pruned(), samples, classes, **settings).model)
    other = state(make_attack(name)(pruned(), turned, back, **settings).model)
    torch.testing.assert_close(one["features.0.weight"], other["features.0.weight"])
    torch.testing.assert_close(one["classifier.2.weight"], other["classifier.2.weight"].flip(0))


def test_mixing_keeps_the_source_where_fine_tuning_forgets_it() -> None:
    samples = resident(1, 8)
    source = resident(0, 80, "test")
    settings = {"steps": 60, "lr": 1e-2}
    mixed, tuned = (steal(n, base(toy(0)), samples, **settings) for n in ("mix", "finetune"))
    for stolen in (mixed, tuned):
        reestimate_batchnorm(stolen.model, source)
    assert evaluate(mixed.model, source)[1] < evaluate(tuned.model, source)[1]


def test_large_logits_stop_no_repair() -> None:
    """The corruption that drifts furthest counts for more, but not endlessly so."""

    def loud(model: Model) -> None:
        for parameter in model.head.parameters():
            parameter.mul_(1e4)

    stolen = steal("transntl", tampered(loud), steps=6, lr=1e-2)
    assert all(p.isfinite().all() for p in stolen.model.module.parameters())


def test_views_are_of_the_three_kinds() -> None:
    images = torch.full((400, 1, 8, 8), 100, dtype=torch.uint8)
    images[:, :, 4:] = 0
    plus, times, blurred = corrupted(images, 0.2, torch.Generator().manual_seed(0))
    assert all(view.dtype == torch.uint8 and view.shape == images.shape for view in (plus, times))
    assert plus[:, :, :4].float().std().item() == pytest.approx(51, rel=0.05)
    assert times[:, :, :4].float().std().item() == pytest.approx(20, rel=0.05)
    assert (times[:, :, 4:] == 0).all(), "multiplied nothing is nothing"
    assert blurred[0, 0, :, 3].tolist() == [100, 100, 94, 69, 31, 6, 0, 0]


def test_a_climb_goes_uphill_by_its_length_and_comes_back() -> None:
    weights = torch.tensor([3.0, -1.0, 0.0], requires_grad=True)
    before = weights.detach().clone()
    climb = Climb([weights], rho=0.1)
    value = (weights**2).sum()
    climb.up(value)
    assert (weights**2).sum() > value
    # Each weight is measured by its own size, so that a large one goes further.
    moved = (weights.detach() - before) / (before.abs() + 0.01)
    assert moved.norm().item() == pytest.approx(0.1, rel=1e-4)
    climb.down()
    assert torch.equal(weights.detach(), before)


def test_repair_takes_half_the_steps() -> None:
    log = steal("transntl", pruned(), steps=9).log
    assert log is not None
    assert (len(log.losses), log.phase) == (9, 4)
    one = steal("transntl", pruned(), **START).log
    assert one is not None
    assert (len(one.losses), one.phase) == (1, 0)
