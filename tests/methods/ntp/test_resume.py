"""What a stopped run of `ntp` must remember and the small runs of the contract may not show."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.release.toys import TINY, files
from torch import Tensor

from ntprune.domains import Domain
from ntprune.methods import protect
from ntprune.methods.checkpoint import Checkpoint
from ntprune.methods.ntp import finish
from ntprune.methods.ntp.controller import Controller
from ntprune.methods.ntp.objective import Objective
from ntprune.methods.ntp.recovery import Recovery
from ntprune.models import Model
from ntprune.release import Release

Data = tuple[Release, Domain, Domain]


@pytest.fixture
def data(tiny_base: Release, tiny_source: Domain, tiny_target: Domain) -> Data:
    return tiny_base, tiny_source, tiny_target


@pytest.fixture(autouse=True)
def every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Checkpoint, "SHARE", math.inf)


def stopping_at(phase: str) -> Any:
    def listen(stage: str, done: int, total: int, note: str = "") -> None:
        if stage == phase:
            raise InterruptedError

    return listen


def stopped_and_whole(data: Data, place: Path, phase: str, **settings: Any) -> list[Release]:
    """One run that is stopped after the first unit of `phase`, and one that is not."""
    given = {"device": "cpu"} | TINY | settings
    with pytest.raises(InterruptedError):
        protect(*data, checkpoint=place, progress=stopping_at(phase), **given)
    made = [protect(*data, checkpoint=place, **given), protect(*data, **given)]
    for name, release in zip(("stopped", "whole"), made, strict=True):
        release.save(place.parent / name)
    assert files(place.parent / "stopped") == files(place.parent / "whole")
    return made


def test_that_the_head_is_fitted_already(data: Data, tmp_path: Path) -> None:
    stopped_and_whole(data, tmp_path / "p", "ADMM rounds", refit=0)


def test_the_best_check(data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last, if all are equal."""
    monkeypatch.setattr(finish, "quick_thief", lambda *_, **__: 0.0)
    stopped_and_whole(data, tmp_path / "p", "finish", support="magnitude")


def test_how_far_the_recovery_is(
    data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Recovery, "MOST", 3)
    monkeypatch.setattr(Controller, "within", -math.inf)  # it never is
    made = stopped_and_whole(data, tmp_path / "p", "recovery", support="magnitude")
    assert [record["phase"] for record in made[0].history].count("recovery") == 3


@pytest.mark.parametrize("phase", ["ADMM rounds", "finish"])
def test_that_the_loss_diverged_once(
    phase: str, data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the first step, of which the rounds that follow know by their learning rate."""
    keep = Objective.keep

    def once(self: Objective) -> Tensor:
        begins = not len(self.source.state_dict()["order"])
        return keep(self) * (math.nan if begins else 1.0)

    monkeypatch.setattr(Objective, "keep", once)
    for release in stopped_and_whole(data, tmp_path / "p", phase):
        assert release.card.steps == 3 * TINY["inner"] + 2 * TINY["finish"]
        assert all(v.isfinite().all() for v in release.model.module.state_dict().values())


def test_the_pruned_weights_that_no_finish_follows(data: Data, tmp_path: Path) -> None:
    stopped_and_whole(data, tmp_path / "p", "ADMM rounds", finish=0)


def test_that_the_finish_had_ended_early(
    data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a loss that diverged for good: what had been the strongest check is not trained on.

    Weights and moments stay finite, else it would diverge again at once and show nothing.
    """
    checked: list[dict[str, Tensor]] = []
    healthy = Objective.recover

    def thief(model: Model, *_: Any, **__: Any) -> float:
        checked.append(model.copy().module.state_dict())
        return -1.0

    def stop(stage: str, done: int, total: int, note: str = "") -> None:
        if stage == "finish" and done == total:
            raise InterruptedError

    monkeypatch.setattr(finish, "quick_thief", thief)
    monkeypatch.setattr(
        Objective, "recover", lambda self: healthy(self) + (math.nan if checked else 0.0)
    )
    given = TINY | {"finish": 3, "checks": 3, "device": "cpu"}
    with pytest.raises(InterruptedError):
        protect(*data, checkpoint=tmp_path / "p", progress=stop, **given)
    monkeypatch.setattr(Objective, "recover", healthy)
    found = protect(*data, checkpoint=tmp_path / "p", **given).model.module.state_dict()
    assert len(checked) == 1
    assert all(torch.equal(found[name], value) for name, value in checked[0].items())
