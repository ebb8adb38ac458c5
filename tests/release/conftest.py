"""A small protected release on disk, one copy a test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.release.toys import protected, toy


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved release with its owner folder, not to be changed."""
    return protected(toy(0), toy(1)).save(tmp_path_factory.mktemp("pristine") / "released")


@pytest.fixture
def folder(pristine: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage; the owner's folder beside it."""
    for name in ("released", "released.owner"):
        shutil.copytree(pristine.with_name(name), tmp_path / name)
    return tmp_path / "released"
