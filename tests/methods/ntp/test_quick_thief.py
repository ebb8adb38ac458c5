"""The quick thief isn't put off by what a thief can put right."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from ntprune.domains import Domain
from ntprune.engine import Resident, outputs
from ntprune.methods.defence import TargetData
from ntprune.methods.ntp import quick_thief as thieving
from ntprune.methods.ntp.quick_thief import quick_thief
from ntprune.models import Model
from ntprune.release import Release


def target(domain: Domain, model: Model) -> TargetData:
    train, validation = (
        Resident.of(split, model.preprocessing, torch.device("cpu"))
        for split in (domain.train, domain.validation)
    )
    return TargetData(domain.name, train, validation, domain.classes)


@torch.no_grad()
def dead_in_training(model: Model) -> Model:
    """Statistics far off, made up for by the shift: the same in eval mode, dead in train mode."""
    tampered = model.copy()
    for norm in tampered.module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            assert norm.running_mean is not None
            assert norm.running_var is not None
            slope = norm.weight / (norm.running_var + norm.eps).sqrt()
            norm.running_mean.sub_(1000.0)
            norm.bias.sub_(slope.abs() * 1000.0)
            norm.weight.abs_()
    return tampered


def test_statistics_hide_nothing_from_it(tiny_base: Release, tiny_target: Domain) -> None:
    model = tiny_base.model.copy()
    with torch.no_grad():
        for norm in model.module.modules():
            if isinstance(norm, nn.BatchNorm2d):
                norm.weight.abs_()
    data = target(tiny_target, model)
    guess = -math.log(4)
    assert quick_thief(model, data, 0) > 0.3 * guess
    assert quick_thief(dead_in_training(model), data, 0) > 0.3 * guess


def test_what_the_owner_froze_it_trains(tiny_base: Release, tiny_target: Domain) -> None:
    model = tiny_base.model.copy()
    data = target(tiny_target, model)
    free = quick_thief(model, data, 0)
    model.encoder.requires_grad_(False)
    assert quick_thief(model, data, 0) == free


def test_a_thief_that_diverges_has_learnt_nothing(tiny_base: Release, tiny_target: Domain) -> None:
    model = tiny_base.model.copy()
    with torch.no_grad():
        next(model.module.parameters()).fill_(math.nan)
    assert quick_thief(model, target(tiny_target, model), 0) == -math.log(4)


def test_a_thief_that_blows_up_on_unseen_images_has_learnt_nothing(
    tiny_base: Release, tiny_target: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NaN would rank as the strongest protection there is."""
    data = target(tiny_target, tiny_base.model)
    for value in (math.nan, math.inf):
        said = torch.full((len(data.validation), 4), value)
        monkeypatch.setattr(thieving, "outputs", lambda model, data, said=said: said)
        assert quick_thief(tiny_base.model, data, 0, steps=1) == -math.log(4)


def test_what_chance_gains_is_not_knowledge(
    tiny_base: Release, tiny_target: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a fit to noise would decide which of two checks is the stronger."""
    data = target(tiny_target, tiny_base.model)
    guess, images = math.log(4), len(data.validation)
    for gained, counts in ((1.9 / images, False), (1.95 / images, True)):
        monkeypatch.setattr(
            thieving, "calibrated_cross_entropy", lambda *_, gained=gained: guess - gained
        )
        found = quick_thief(tiny_base.model, data, 0, steps=1)
        assert found == pytest.approx(gained - guess if counts else -guess, abs=1e-12)


def test_how_sure_it_is_of_itself_makes_no_difference(
    tiny_base: Release, tiny_target: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One who is confidently wrong on some images has all the same learnt the others."""
    data = target(tiny_target, tiny_base.model)
    found = quick_thief(tiny_base.model, data, 0)
    monkeypatch.setattr(thieving, "outputs", lambda model, data: 50 * outputs(model, data))
    assert found > -0.9 * math.log(4)
    assert quick_thief(tiny_base.model, data, 0) == pytest.approx(found, abs=1e-4)


def test_of_each_head_the_better_start_counts_and_of_heads_the_mean(
    tiny_base: Release, tiny_target: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One lucky thief does not decide, nor one that statistics had put off."""
    reached = iter([0.9, 0.5, 7.0, 0.25])  # as it is and rebased, of one head and of the other
    monkeypatch.setattr(thieving, "calibrated_cross_entropy", lambda *_: next(reached))
    data = target(tiny_target, tiny_base.model)
    data = TargetData(data.name, data.train, data.validation, tiny_base.model.spec.classes)
    assert quick_thief(tiny_base.model, data, 0, steps=1) == pytest.approx(-(0.5 + 0.25) / 2)
    worse = iter([9.0, math.inf, 7.0, 0.25])
    monkeypatch.setattr(thieving, "calibrated_cross_entropy", lambda *_: next(worse))
    guess = math.log(len(data.classes))
    assert quick_thief(tiny_base.model, data, 0, steps=1) == pytest.approx(-(guess + 0.25) / 2)
