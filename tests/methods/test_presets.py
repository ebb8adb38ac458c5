"""A preset is a method of the same name, asked for beside it and named on the card."""

from __future__ import annotations

from pathlib import Path

import pytest

import ntprune
from ntprune.domains import Domain
from ntprune.errors import UnknownNameError
from ntprune.methods import method_class, method_names, preset_names
from ntprune.methods.paper import PaperNTP
from ntprune.release import Release, check, load


def test_names() -> None:
    assert not any("@" in name for name in method_names())
    assert preset_names("ntp") == ["default", "paper"]
    assert preset_names("magnitude") == ["default"]
    assert method_class("ntp", "paper") is PaperNTP
    assert method_class("ntp") is not PaperNTP
    with pytest.raises(UnknownNameError, match="unknown preset of random 'paper'"):
        method_class("random", "paper")
    with pytest.raises(UnknownNameError, match="unknown method 'ntp@paper'"):
        preset_names("ntp@paper")


def test_the_verb_and_the_card(
    tiny_base: Release, tiny_source: Domain, tiny_target: Domain, tmp_path: Path
) -> None:
    release = ntprune.protect(
        tiny_base, tiny_source, tiny_target, preset="paper", device="cpu", iterations=2, tau=3e-4
    )
    assert (release.card.method, release.card.preset) == ("ntp", "paper")
    assert release.card.called == "ntp (preset paper)"
    assert tiny_base.card.called == "none"
    release.save(tmp_path / "release")
    loaded = load(tmp_path / "release")
    assert loaded.card == release.card
    assert check(tmp_path / "release", tiny_source).sparsity == release.card.sparsity > 0
    assert set(loaded.masks) > set(loaded.model.prunable())
