"""What attacks on pruned and stiffened weights begin with."""

from __future__ import annotations

import pytest
import torch
from tests.attacks.thefts import START, pruned, resident, state, steal, tampered
from tests.release.toys import toy

from ntprune.attacks import make_attack
from ntprune.engine import Resident, reestimate_batchnorm


def test_regrowth_fills_every_zero_and_leaves_the_rest() -> None:
    before = dict(pruned().model.prunable())
    after = steal("regrow", pruned(), **START).model.prunable()
    for name, weight in before.items():
        alive = weight != 0
        assert (after[name] != 0).all()
        assert torch.equal(after[name][alive], weight[alive])


def test_what_grows_back_has_the_scale_of_a_fresh_network() -> None:
    after = steal("regrow", pruned(), **START).model.prunable()
    fresh = steal("scratch", pruned(), **START).model.prunable()
    for name, weight in pruned().model.prunable().items():
        grown = after[name][weight == 0]
        if len(grown) > 100:
            assert grown.std().item() == pytest.approx(fresh[name].std().item(), rel=0.2)


def test_the_last_stage_is_fresh_and_the_others_are_not() -> None:
    before = state(pruned().model)
    after = state(steal("last-stage", pruned(), **START).model)
    moved = {n for n in before if not torch.allclose(before[n], after[n], atol=1e-6)}
    # Running statistics of every layer follow the one batch.
    moved = {n for n in moved if "running" not in n and "tracked" not in n}
    assert "features.17.weight" in moved
    assert all(n.startswith(("features.17.", "features.18.", "classifier.")) for n in moved)


def test_shrink_and_perturb_is_half_old_and_half_fresh() -> None:
    before = dict(pruned().model.module.named_parameters())
    after = dict(steal("shrink-perturb", pruned(), **START).model.module.named_parameters())
    fresh = {name: 2 * after[name] - old for name, old in before.items()}
    for name, value in fresh.items():
        if value.dim() == 4:
            bound = (value[0].numel()) ** -0.5
            assert value.abs().max() <= bound * 1.001, "not torch's initialisation of a convolution"
        elif name.startswith("features") and name.endswith("weight"):
            torch.testing.assert_close(value, torch.ones_like(value))


@pytest.mark.parametrize("name", ["null", "finetune", "masked", "regrow"])
def test_the_head_follows_the_class_names_and_not_their_order(name: str) -> None:
    """A target that lists the source's classes in another order is no reason to lose the head."""
    release, samples = pruned(), resident(1, 60)
    classes = toy(1).classes
    order = [2, 0, 3, 1]
    moved = Resident(samples.images, torch.tensor(order).argsort()[samples.labels])
    names = tuple(classes[i] for i in order)
    attack = make_attack(name)
    assert attack.applies(release, names)
    one = attack(release, samples, classes, **START).model
    two = attack(release, moved, names, **START).model
    assert two.spec.classes == names
    torch.testing.assert_close(one(samples.images)[:, order], two(samples.images))


def test_bn_finetune_starts_from_the_targets_statistics_and_holds_them() -> None:
    expected = pruned().model.copy()
    reestimate_batchnorm(expected, resident(1, 60))
    wanted = state(expected)
    for settings in (START, {"steps": 9}):
        found = state(steal("bn-finetune", pruned(), **settings).model)
        for name in (n for n in wanted if "running_mean" in n):
            assert torch.equal(found[name], wanted[name])
    moved = steal("bn-finetune", pruned(), steps=9).model.module.get_parameter("features.0.weight")
    assert not torch.equal(moved, wanted["features.0.weight"])


def test_bn_finetune_keeps_dead_channels_harmless() -> None:
    release = pruned()
    model = release.model.copy()
    with torch.no_grad():
        model.module.get_parameter("features.0.weight")[0] = 0
    dead = type(release)(model, release.masks, release.card)
    found = state(steal("bn-finetune", dead, **START).model)
    assert found["features.1.running_var"][0] == 1


@pytest.mark.parametrize("name", ["finetune", "finetune-new-head", "masked", "scratch"])
def test_what_the_owner_froze_a_thief_trains(name: str) -> None:
    frozen = tampered(lambda model: model.encoder.requires_grad_(False))
    before = state(steal(name, frozen, **START).model)
    after = state(steal(name, frozen, steps=3).model)
    weights = [n for n in before if n in dict(frozen.model.prunable())]
    assert weights
    assert not any(torch.equal(before[n], after[n]) for n in weights)
    assert not any(p.requires_grad for p in frozen.model.encoder.parameters())
