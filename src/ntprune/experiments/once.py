"""Steps of an experiment that are not done twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ntprune.release import Release, load


def once(folder: Path, make: Callable[[], Release]) -> Release:
    """The release in `folder`; what `make` returns is saved there if there is none.

    Raises:
        NtpruneError: as `make`, `save` and `load` do.
    """
    if not folder.exists():
        make().save(folder)
    return load(folder)
