"""A record names the commit that made it."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

import pytest

from ntprune.experiments.common.machine import _commit, _processor, machine


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


@pytest.mark.parametrize(
    ("text", "generation"),
    [
        ("cpu family\t: 25\nmodel\t\t: 17\nmodel name\t: Chip X: 2\n\nmodel\t\t: 9\n", True),
        ("model name\t: Chip X: 2\n", False),
    ],
)
def test_the_processor_by_generation(text: str, generation: bool, tmp_path: Path) -> None:
    """Two machines of one name can differ twofold in speed."""
    (tmp_path / "cpuinfo").write_text(text)
    found = _processor(tmp_path / "cpuinfo")
    assert found == "Chip X: 2" + (" (family 25, model 17)" if generation else "")


@pytest.mark.parametrize("text", ["Hardware\t: a board\n", None])
def test_a_processor_without_a_name(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "cpuinfo").write_text(text)
    assert _processor(tmp_path / "cpuinfo") == platform.processor()
