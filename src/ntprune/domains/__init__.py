"""Labelled image sets: embedded, read by torchvision, from arrays, from folders.

`domain("mnist", root="data")` loads one; `describe()` lists them all. A new one is a file with a
loader under `@register(...)`, imported here.
"""

from ntprune.domains import (  # noqa: F401  (imported for their entries in the registry)
    blended,
    folder,
    npz,
    optdigits,
    syndigits,
    torchvision_sets,
)
from ntprune.domains.check import require_content, require_domain
from ntprune.domains.domain import Domain, Split
from ntprune.domains.neighbours import neighbours
from ntprune.domains.registry import SIZES, describe, domain, domain_names

__all__ = [
    "SIZES",
    "Domain",
    "Split",
    "describe",
    "domain",
    "domain_names",
    "neighbours",
    "require_content",
    "require_domain",
]
