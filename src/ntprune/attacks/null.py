"""The thief who does nothing."""

from __future__ import annotations

from ntprune.attacks.base import Attack
from ntprune.attacks.registry import attack
from ntprune.attacks.theft import Theft, ThreatModel


@attack
class Null(Attack):
    """The release as it is: what it already gives away on the target."""

    name = "null"
    summary = "no training at all: the release as it is"
    threat = ThreatModel(
        weights=True,
        labels=False,
        source=False,
        mask="kept",
        head="kept",
        knowledge="how the release is run",
    )

    holds_statistics = True

    def run(self, theft: Theft) -> None:
        """Changes nothing."""
