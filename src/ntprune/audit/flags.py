"""What a reader must know before believing an audit, in the manner of AutoAttack's checks.

Each flag has an entry in docs/flags.md: when it is raised, what it means, what to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from ntprune.audit.points import Point
from ntprune.audit.protocol import Protocol
from ntprune.audit.schema import Control, Curve, Envelope, Flag, Missing, ScratchCurve


@dataclass(frozen=True)
class Evidence:
    """What flags are raised from."""

    protocol: Protocol
    budgets: list[int]
    classes: int
    points: list[Point]
    scratch: ScratchCurve
    attacks: dict[str, Curve]
    envelope: Envelope
    controls: dict[str, Control]
    missing: list[Missing] = field(default_factory=list)


Check = Callable[[Evidence], Iterator[Flag]]


def raise_flags(evidence: Evidence) -> list[Flag]:
    """Every flag that applies, in the order of the documentation."""
    return [flag for check in CHECKS for flag in check(evidence)]


def _void(e: Evidence) -> Iterator[Flag]:
    control = e.controls.get("unprotected")
    if control is None:
        yield Flag(
            name="void",
            message="the protocol has no unprotected control, so nothing shows that there was a "
            "head start to take away: the audit is void",
        )
        return
    if control.envelope.ci95[0] > 0:
        return
    yield Flag(
        name="void",
        message=(
            "the unprotected model has no head start over scratch here (mean gap "
            f"{control.envelope.mean_gap:+.3f}, interval from {control.envelope.ci95[0]:+.3f}): "
            "there is nothing to protect, and the audit is void"
        ),
    )


def _rate_on_edge(e: Evidence) -> Iterator[Flag]:
    lrs = e.protocol.recipe.lrs
    points = [p for p in e.points if p.subject == "release" and p.n > e.budgets[0]]
    if len(lrs) < 3 or not points:
        return
    for edge, side in ((max(lrs), "highest"), (min(lrs), "lowest")):
        share = sum(p.lr == edge for p in points) / len(points)
        if share > 0.5:
            yield Flag(
                name="rate-on-edge",
                message=(
                    f"at {share:.0%} of the points the thief chose the {side} learning rate of the "
                    f"grid ({edge:g}): a wider grid may find a stronger attack"
                ),
            )


def _loss_did_not_fall(e: Evidence) -> Iterator[Flag]:
    stuck = [
        p
        for p in e.points
        if p.first_loss is not None
        and p.last_loss is not None
        and p.last_loss > 0.95 * p.first_loss
        and p.last_loss > 0.1
    ]
    if stuck:
        names = sorted({f"{p.subject}/{p.attack}" for p in stuck})
        yield Flag(
            name="loss-did-not-fall",
            message=f"training did not lower the loss at {len(stuck)} points ({', '.join(names)})",
        )


def _spread_hides_effect(e: Evidence) -> Iterator[Flag]:
    low, high = e.envelope.ci95
    if low < 0 < high:
        yield Flag(
            name="spread-hides-effect",
            message=(
                f"the interval of the envelope's mean gap ({low:+.3f} to {high:+.3f}) holds zero: "
                "seeds differ by more than the effect"
            ),
        )


def _mask_free_stronger(e: Evidence) -> Iterator[Flag]:
    for free, kept in (("finetune", "masked"), ("finetune-new-head", "masked-new-head")):
        if free in e.attacks and kept in e.attacks:
            difference = e.attacks[free].mean_gap - e.attacks[kept].mean_gap
            if difference > 0.05:
                yield Flag(
                    name="mask-free-stronger",
                    message=(
                        f"ignoring the mask gains the thief {difference:+.3f} in mean gap "
                        f"({free} against {kept}): the mask-kept figure overstates the protection"
                    ),
                )


def _scratch_not_monotone(e: Evidence) -> Iterator[Flag]:
    falls = [
        (e.budgets[i], e.budgets[i + 1])
        for i in range(len(e.budgets) - 1)
        if e.scratch.curve[i + 1] < e.scratch.curve[i] - 0.01
    ]
    if falls:
        where = ", ".join(f"{a} to {b}" for a, b in falls)
        yield Flag(
            name="scratch-not-monotone",
            message=f"training from scratch gets worse with more samples ({where}): the yardstick "
            "is under-trained there",
        )


def _chance_level(e: Evidence) -> Iterator[Flag]:
    chance = 1 / e.classes
    flat = [name for name, curve in e.attacks.items() if np.max(curve.curve) < chance + 0.02]
    if flat:
        yield Flag(
            name="chance-level",
            message=(
                f"{', '.join(flat)} never leaves chance level ({chance:.0%}): its interval is "
                "degenerate, and training may be broken rather than resisted"
            ),
        )


def _budget_below_classes(e: Evidence) -> Iterator[Flag]:
    few = [str(n) for n in e.budgets if n < e.classes]
    if few:
        yield Flag(
            name="budget-below-classes",
            message=(
                f"{', '.join(few)} samples cannot show all {e.classes} classes: the thief gets one "
                "image of each of as many classes and none of the others"
            ),
        )


def _points_missing(e: Evidence) -> Iterator[Flag]:
    if e.missing:
        where = dict.fromkeys(
            f"{m.subject}/{m.attack}" if m.attack else f"all of {m.subject}" for m in e.missing
        )
        yield Flag(
            name="points-missing",
            message=(
                f"{len(e.missing)} {'part' if len(e.missing) == 1 else 'parts'} of the audit could "
                f"not be measured ({', '.join(where)}): figures are of what is there, and the same "
                "command tries again"
            ),
        )


CHECKS: tuple[Check, ...] = (
    _void,
    _rate_on_edge,
    _loss_did_not_fall,
    _spread_hides_effect,
    _mask_free_stronger,
    _scratch_not_monotone,
    _chance_level,
    _budget_below_classes,
    _points_missing,
)
