"""Where a job finds what its spec names by hash."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Context:
    """Places on this machine; not part of a job's identity.

    Attributes:
        store: folder of the content store.
        releases: SHA-256 of the weights to release folder.
        produced: folder in which jobs leave releases they make.
        device: where to compute.
    """

    store: Path
    produced: Path
    releases: dict[str, Path] = field(default_factory=dict)
    device: str = "cpu"
