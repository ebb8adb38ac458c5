"""Every mistake: exit code 2, one line that names it and the remedy, nothing half-written."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.conftest import Typed
from tests.cli.mistakes import AUDIT, MISTAKES, TARGET
from tests.release.toys import files

COPIES = ("release", "release.owner")


def everything(folder: Path) -> tuple[set[str], dict[str, bytes]]:
    return {str(path) for path in folder.rglob("*")}, files(folder)


@pytest.mark.parametrize("name", MISTAKES)
def test_one_line_and_nothing_half_written(
    name: str, place: Path, tmp_path: Path, typed: Typed
) -> None:
    template, fragment, *prepare = MISTAKES[name]
    if "{tmp}/release" in template and name != "no release":
        for folder in COPIES:
            shutil.copytree(place / folder, tmp_path / folder)
    for step in prepare:
        step(tmp_path)
    before = everything(tmp_path), everything(place)
    ended = typed(*(part.format(place=place, tmp=tmp_path) for part in template.split()))
    assert ended.code == 2, ended.said
    assert ended.out == ""
    assert len(ended.said) == 1, ended.said
    assert ended.said[0].startswith("ntprune: ")
    assert fragment in ended.said[0]
    assert len(ended.said[0]) < 700
    assert (everything(tmp_path), everything(place)) == before


def test_budgets_below_the_classes_are_no_mistake(
    place: Path, tmp_path: Path, typed: Typed
) -> None:
    command = f"{AUDIT}{TARGET} --budgets 3,8".format(place=place, tmp=tmp_path)
    ended = typed(*command.split())
    assert ended.code == 0
    assert ended.said == []
    assert "flag budget-below-classes: 3 samples cannot show all 4 classes" in ended.out
    assert (tmp_path / "out" / "report.json").exists()


@pytest.mark.parametrize("name", ["domain", "weights are a pickle"])
def test_no_traceback_from_a_shell(name: str, place: Path, tmp_path: Path) -> None:
    template, fragment, *prepare = MISTAKES[name]
    if "{tmp}/release" in template:
        shutil.copytree(place / "release", tmp_path / "release")
    for step in prepare:
        step(tmp_path)
    arguments = [part.format(place=place, tmp=tmp_path) for part in template.split()]
    ended = subprocess.run(
        [sys.executable, "-m", "ntprune.cli.main", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 2
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    assert fragment in line
