"""The thief who does nothing."""

from __future__ import annotations

from ntprune.attacks.base import Attack, Theft, ThreatModel
from ntprune.attacks.registry import attack


@attack
class Null(Attack):
    """The release as it is: what it already gives away on the target."""

    name = "null"
    summary = "no training at all: the release as it is"
    threat = ThreatModel(weights=True, labels=False, mask="kept", head="kept")

    def run(self, theft: Theft) -> None:
        """Changes nothing."""
