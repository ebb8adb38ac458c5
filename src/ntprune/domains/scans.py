"""Which scans of a grey digit domain `blended:<name>` may use.

- optdigits: the half that plain `optdigits` leaves aside.
- syndigits: fresh renderings, from streams of their own.
- mnist, usps: the whole standard set, shared with the plain domain, whose results must stay
  comparable with the literature; what is test in one is test in the other.
"""

from __future__ import annotations

from pathlib import Path

from ntprune.domains import optdigits, syndigits, torchvision_sets
from ntprune.domains.rawset import RawSet


def digit_scans(name: str, root: Path) -> RawSet:
    """The grey scans to blend, in their native size, with a test split.

    Raises:
        DataMissingError, DataInvalidError: the files of mnist or usps are missing or damaged.
    """
    if name == "optdigits":
        return optdigits.scans("blended")
    if name == "syndigits":
        return syndigits.grey_scans()
    return torchvision_sets.read(name, root)
