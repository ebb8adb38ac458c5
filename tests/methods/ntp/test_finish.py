"""Which check of the finish is released."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from tests.release.toys import TINY
from torch import Tensor

from ntprune.domains import Domain
from ntprune.errors import TrainingDivergedError
from ntprune.methods import protect
from ntprune.methods.ntp import finish
from ntprune.methods.ntp.objective import Objective
from ntprune.models import Model
from ntprune.release import Release

# Of the source accuracy; all may be lost, and to the last digit accuracies are not exact.
INSIDE, EDGE, OUTSIDE = 0.0, 1.0 + 1e-13, 1.5


@pytest.mark.parametrize(
    ("thieves", "losses", "released"),
    [
        ((-0.1, -0.9, -0.5), (INSIDE, INSIDE, INSIDE), 1),
        ((-0.5, -0.5, -0.5), (INSIDE, INSIDE, INSIDE), 2),
        ((-0.1, -0.9, -0.2), (INSIDE, OUTSIDE, INSIDE), 2),
        ((-0.1, -0.9, -0.2), (INSIDE, EDGE, INSIDE), 1),
        ((-0.3, -0.9, -0.2), (INSIDE, OUTSIDE, INSIDE), 0),
    ],
    ids=[
        "least for the thief",
        "the last of equals",
        "inside first",
        "on the edge",
        "inside, whenever it was",
    ],
)
def test_the_strongest_check_inside_the_constraint(
    thieves: Sequence[float],
    losses: Sequence[float],
    released: int,
    tiny_base: Release,
    tiny_source: Domain,
    tiny_target: Domain,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[dict[str, Tensor]] = []

    def thief(model: Model, *_: Any, batch: int) -> float:
        assert batch == min(64, settings["batch"])
        seen.append(model.copy().module.state_dict())
        return thieves[len(seen) - 1]

    def accuracy(*_: Any) -> float:
        return tiny_base.card.source.validation - losses[len(seen) - 1]

    monkeypatch.setattr(finish, "quick_thief", thief)
    monkeypatch.setattr(finish, "accuracy", accuracy)
    settings = TINY | {"finish": len(thieves), "device": "cpu"}
    made = protect(tiny_base, tiny_source, tiny_target, **settings).model.module.state_dict()
    assert len(seen) == len(thieves)
    same = [all(torch.equal(made[k], each[k]) for k in made) for each in seen]
    assert same == [number == released for number in range(len(thieves))]


@pytest.mark.parametrize("lost", [INSIDE, OUTSIDE], ids=["kept", "lost"])
def test_a_loss_that_diverges_for_good(
    lost: float,
    tiny_base: Release,
    tiny_source: Domain,
    tiny_target: Domain,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A check that keeps the source accuracy is released; without one there is none."""
    checked: list[dict[str, Tensor]] = []
    keep = Objective.recover

    def thief(model: Model, *_: Any, **__: Any) -> float:
        checked.append(model.copy().module.state_dict())
        return -1.0

    def recover(self: Objective) -> Tensor:
        return keep(self) * (math.nan if checked else 1.0)

    monkeypatch.setattr(finish, "quick_thief", thief)
    monkeypatch.setattr(Objective, "recover", recover)
    monkeypatch.setattr(finish, "accuracy", lambda *_: tiny_base.card.source.validation - lost)
    settings = TINY | {"finish": 3, "checks": 3, "device": "cpu"}
    if lost:
        with pytest.raises(TrainingDivergedError):
            protect(tiny_base, tiny_source, tiny_target, **settings)
        return
    said: list[str] = []
    made = protect(
        tiny_base,
        tiny_source,
        tiny_target,
        **settings,
        progress=lambda *told: said.append(told[-1]),
    )
    assert len(checked) == 1
    found = made.model.module.state_dict()
    assert all(torch.equal(found[name], value) for name, value in checked[0].items())
    assert "the loss diverged, so it ends here" in said
