"""`ntprune protect`: what it says to do next."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.conftest import Typed

PROTECT = "protect {place}/base --device cpu --out {tmp}/out --sparsity 0.5 --max-source-drop 100"
SHORT = "--set rounds=1 --set inner=1 --set finish=1 --set refit=1 --set depth=1"
NPZ = "npz:{place}/target.npz"


@pytest.mark.parametrize(
    ("targets", "card", "hint"),
    [
        ([NPZ], [NPZ], "--target " + NPZ + " --out audit/"),
        ([NPZ, NPZ + "[0,1]"], [NPZ, NPZ + "[0,1]"], "--target " + NPZ + " --out audit/"),
        (
            ["none"],
            ["neighbours of npz:{place}/source.npz"],
            "--target NAME --out audit/, NAME being what a thief might want (ntprune domains)",
        ),
    ],
)
def test_the_next_step(
    targets: list[str], card: list[str], hint: str, place: Path, tmp_path: Path, typed: Typed
) -> None:
    command = " ".join([PROTECT, SHORT, *(f"--target {name}" for name in targets)])
    ended = typed(*command.format(place=place, tmp=tmp_path).split())
    assert ended.code == 0, ended.said
    written = json.loads((tmp_path / "out" / "card.json").read_text())
    assert written["targets"] == [name.format(place=place) for name in card]
    last = ended.out.splitlines()[-1]
    assert last == f"next: ntprune audit {tmp_path}/out {hint.format(place=place)}"


def test_the_help_says_what_several_targets_and_none_mean(typed: Typed) -> None:
    said = " ".join(typed("protect", "--help").out.split())
    for word in ("none", "combine=worst", "weights="):
        assert word in said
