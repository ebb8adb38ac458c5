"""Flags: an audit that is void, undertrained, incomplete or bound to a polite protocol."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ntprune.attacks import attack_class
from ntprune.audit.flags.evidence import Evidence
from ntprune.audit.protocol import procedure
from ntprune.audit.schema import Flag


def void(e: Evidence) -> Iterator[Flag]:
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
            "the unprotected model is not shown to have a head start over scratch here (mean gap "
            f"{control.envelope.mean_gap:+.3f}, interval from {control.envelope.ci95[0]:+.3f}): "
            "nothing shows what protection took away, and the audit is void"
        ),
    )


def rate_on_edge(e: Evidence) -> Iterator[Flag]:
    at_edge: dict[tuple[str, float], list[str]] = {}
    # From scratch too: a yardstick that is trained badly is in the defender's favour or against it.
    theirs = [p for p in e.points if p.subject in ("release", "scratch")]
    for subject, attack in dict.fromkeys((p.subject, p.attack) for p in theirs):
        lrs = e.protocol.recipe_of(attack).lrs
        points = [
            p for p in theirs if (p.subject, p.attack) == (subject, attack) and p.n > e.budgets[0]
        ]
        if len(lrs) < 3 or not points:
            continue
        for edge, side in ((max(lrs), "highest"), (min(lrs), "lowest")):
            if 2 * sum(p.lr == edge for p in points) > len(points):
                at_edge.setdefault((side, edge), []).append(attack)
    for (side, edge), attacks in at_edge.items():
        yield Flag(
            name="rate-on-edge",
            message=(
                f"{', '.join(attacks)}: at most points the thief chose the {side} learning rate of "
                f"the grid ({edge:g}); a wider grid may find a stronger attack"
            ),
        )


def loss_did_not_fall(e: Evidence) -> Iterator[Flag]:
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


def still_rising(e: Evidence) -> Iterator[Flag]:
    control = e.controls.get("unprotected")
    if control is None or not e.attacks:
        return
    best = max(e.attacks, key=lambda name: e.attacks[name].mean_gap)
    behind = {
        n
        for n, ours, theirs in zip(
            e.budgets, e.attacks[best].curve, control.envelope.curve, strict=False
        )
        if ours < theirs
    }
    # Few samples are learnt by heart in any number of steps: only the larger budgets tell.
    large = behind & set(e.budgets[len(e.budgets) // 2 :])
    points = [p for p in e.points if (p.subject, p.attack) == ("release", best) and p.n in large]
    rising = [p for p in points if p.unfinished]
    if 2 * len(rising) > len(points):
        yield Flag(
            name="still-rising",
            message=(
                f"{best} had not finished learning its own samples at {len(rising)} of the "
                f"{len(points)} points with many of them: a thief with more steps gets further"
            ),
        )


def spread_hides_effect(e: Evidence) -> Iterator[Flag]:
    low, high = e.envelope.ci95
    if low < 0 < high:
        yield Flag(
            name="spread-hides-effect",
            message=(
                f"the interval of the envelope's mean gap ({low:+.3f} to {high:+.3f}) holds zero: "
                "seeds differ by more than the effect"
            ),
        )


def scratch_not_monotone(e: Evidence) -> Iterator[Flag]:
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


def chance_level(e: Evidence) -> Iterator[Flag]:
    flat = [name for name, curve in e.attacks.items() if np.max(curve.curve) < e.guess + 0.02]
    if flat:
        yield Flag(
            name="chance-level",
            message=(
                f"{', '.join(flat)} never leaves chance level ({e.guess:.0%}): its interval is "
                "degenerate, and training may be broken rather than resisted"
            ),
        )


def budget_below_classes(e: Evidence) -> Iterator[Flag]:
    few = [str(n) for n in e.budgets if n < e.classes]
    if few:
        yield Flag(
            name="budget-below-classes",
            message=(
                f"{', '.join(few)} samples cannot show all {e.classes} classes: the thief gets one "
                "image of each of as many classes and none of the others"
            ),
        )


def points_missing(e: Evidence) -> Iterator[Flag]:
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


def polite_protocol(e: Evidence) -> Iterator[Flag]:
    recipe, seeds = e.protocol.recipe, e.protocol.seeds
    found = []
    # Those that were made: on other classes than the source's, whoever keeps the head is left out.
    if all(attack_class(procedure(a)).threat.mask == "kept" for a in e.attacks):
        found.append("every attack keeps the defender's mask")
    if len(recipe.lrs) == 1:
        found.append(
            f"no learning rate is searched, and {recipe.lrs[0]:g} for {recipe.epochs:g} epochs can "
            "leave thief and scratch alike undertrained with few samples"
        )
    if seeds < 3:
        found.append(f"there are only {seeds} thieves a point")
    if found:
        yield Flag(
            name="polite-protocol",
            message=f"{e.protocol.name} favours the defender: {'; '.join(found)}. A real thief is "
            "not bound by it",
        )
