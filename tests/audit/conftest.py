"""A small protected release on disk, one copy a test, and an audit of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.audit.small import Watched, run
from tests.release.conftest import folder, pristine

__all__ = ["done", "folder", "pristine"]


@pytest.fixture(scope="session")
def done(pristine: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Watched]:
    """One audit, not to be changed, and the engine that ran it."""
    out, engine = tmp_path_factory.mktemp("audit") / "done", Watched()
    run(pristine, out, engine=engine)
    return out, engine
