"""What a loader hands to the registry: labelled images, not yet dealt into four splits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ntprune.domains.domain import Split


@dataclass(frozen=True, eq=False)
class RawSet:
    """Labelled images as they come from a file or a generator.

    Attributes:
        rest: everything that is not test.
        test: the test images, or None where the registry should hold some out.
        classes: class names, in label order.
    """

    rest: Split
    test: Split | None
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Request:
    """What a loader is asked for.

    Attributes:
        argument: what follows the colon of the name (a path), or "" for a plain name.
        root: the data root.
        size: the wanted side in pixels, or None for the native one. A loader may ignore it: the
            registry resizes what does not fit.
    """

    argument: str
    root: Path
    size: int | None


Loader = Callable[[Request], RawSet]
Fetcher = Callable[[Path], None]
DIGITS = tuple("0123456789")
