"""Steps of an experiment that are not done twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ntprune.errors import OutputError
from ntprune.release import Card, Release, load


def once(folder: Path, make: Callable[[], Release], wanted: Mapping[str, Any]) -> Release:
    """The release in `folder`; what `make` returns is saved there if there is none.

    Args:
        folder: of the release.
        make: makes it.
        wanted: seed, settings, source, targets and parts of the blueprint that it has if `make` has
            made it.

    Raises:
        OutputError: what is in `folder` has others.
        NtpruneError: as `make`, `save` and `load` do.
    """
    if not folder.exists():
        make().save(folder)
    release = load(folder)
    found = _told(release.card)
    for name, value in wanted.items():
        if found.get(name) != value:
            raise OutputError(
                f"{folder} holds a model with {name} {found.get(name)}, wanted is {value}: remove "
                "it or choose another --out"
            )
    return release


def _told(card: Card) -> dict[str, Any]:
    model = card.model.model_dump(mode="json")
    whose = {"source": card.source.name, "targets": list(card.targets)}
    own = {"seed": card.seed, "size": card.model.preprocessing.size}
    return model | card.settings | whose | own
