"""What was made for other settings is not passed off for what was asked."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.release.toys import base, toy

from ntprune.errors import OutputError
from ntprune.experiments.common.once import once
from ntprune.release import Release


def never() -> Release:
    raise AssertionError("made again")


def test_made_once_and_for_the_same_settings_alone(tmp_path: Path) -> None:
    place = tmp_path / "base"
    made = {"seed": 0, "epochs": 8, "width": 4, "size": 16, "architecture": "convnet"}
    assert once(place, lambda: base(toy(0)), made).card.seed == 0
    once(place, never, made)
    for name, value in (("seed", 7), ("epochs", 9), ("width", None), ("size", 32), ("rounds", 1)):
        with pytest.raises(OutputError, match=f"holds a model with {name} .*, wanted is {value}: "):
            once(place, never, made | {name: value})
