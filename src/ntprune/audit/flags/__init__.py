"""What a reader must know before believing an audit, in the manner of AutoAttack's checks.

Each flag has an entry in `texts.yaml`, which docs/flags.md is written from: when it is raised, what
it means, what to do.
"""

from __future__ import annotations

from ntprune.audit.flags import head_start, soundness, tricks
from ntprune.audit.flags.evidence import Check, Evidence
from ntprune.audit.schema import Flag

__all__ = ["CHECKS", "Evidence", "raise_flags"]

CHECKS: tuple[Check, ...] = (
    soundness.void,
    head_start.head_start_at_some_budget,
    head_start.envelope_below_an_attack,
    soundness.rate_on_edge,
    soundness.loss_did_not_fall,
    soundness.still_rising,
    soundness.spread_hides_effect,
    tricks.mask_free_stronger,
    tricks.normalisation_games,
    tricks.head_only,
    tricks.unusual_scale,
    tricks.same_encoder,
    tricks.plain_mask,
    soundness.scratch_not_monotone,
    soundness.chance_level,
    soundness.budget_below_classes,
    soundness.points_missing,
    soundness.polite_protocol,
)


def raise_flags(evidence: Evidence) -> list[Flag]:
    """Every flag that applies, in the order of the documentation."""
    return [flag for check in CHECKS for flag in check(evidence)]
