"""A record names the commit that made it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ntprune.experiments.common.machine import _commit, machine


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=n", "-c", "user.email=n@example.org")
    command = ["git", "-C", str(folder), *who, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_of_a_checkout_and_its_changes(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    package, foreign = tmp_path / "package", tmp_path / "ignored"
    for folder in (package, foreign):
        folder.mkdir()
        (folder / "module.py").write_text("one")
    (tmp_path / "results.md").write_text("one")
    git(tmp_path, "add", "package", "results.md")
    git(tmp_path, "commit", "-qm", "first")
    first = git(tmp_path, "rev-parse", "HEAD")
    assert _commit(package) == first
    assert _commit(foreign) is None
    (tmp_path / "results.md").write_text("two")
    assert _commit(package) == first
    (package / "module.py").write_text("two")
    assert _commit(package) == f"{first}+changes"


def test_none_outside_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert _commit(tmp_path) is None
    monkeypatch.setenv("PATH", "")
    assert _commit(tmp_path) is None


def test_what_a_record_says() -> None:
    found = machine()
    assert found["cores"] >= 1
    assert "torch" in found["versions"]
    assert "commit" in found
