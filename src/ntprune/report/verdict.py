"""The sentence that a manager reads."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from ntprune.audit.schema import Envelope, Report
from ntprune.report.text import NBSP, clean, interval, number, percent, points

Level = Literal["protected", "partly", "open", "unprotected", "void"]
_LABELS: dict[Level, str] = {
    "protected": "Protected",
    "partly": "Partly protected",
    "open": "Not settled",
    "unprotected": "Not protected",
    "void": "Void",
}


@dataclass(frozen=True)
class Verdict:
    """The outcome.

    Attributes:
        level: `open` where the mean is at or below scratch but the interval reaches above it, the
            protocol is a polite one, the file looks as if it had been tampered with, or not every
            attack on the release could be measured.
        label: the level in words.
        sentence: the outcome, its numbers and the price paid for it.
    """

    level: Level
    label: str
    sentence: str


def seeds(envelope: Envelope) -> int:
    """Repetitions behind an envelope; 0 if it does not say."""
    return max((sum(chosen.values()) for chosen in envelope.chosen), default=0)


def confidence(envelope: Envelope) -> tuple[float, float] | None:
    """The interval of the mean gap, or None where a single seed or the numbers allow none."""
    low, high = envelope.ci95
    runs = seeds(envelope)
    usable = math.isfinite(low) and math.isfinite(high) and low <= high
    return (low, high) if usable and (runs > 1 or (runs == 0 and low < high)) else None


def judge(report: Report) -> Verdict:
    """The verdict on one audit.

    Protected: the whole interval is at or below scratch, that of the strongest single attack too,
    no attack is ahead of scratch at any budget, none is missing, the file has no scale that blocks
    training instead of removing what was learnt, and the protocol doesn't favour the defender.
    Partly protected: protected on average alone, or above scratch and below the unprotected model
    by more than the interval allows for.
    """
    envelope, gap = report.envelope, report.envelope.mean_gap
    ends = confidence(envelope)
    upper = gap if ends is None else ends[1]
    control = report.controls.get("unprotected")
    bare = None if control is None else control.envelope.mean_gap
    if report.void:
        return _verdict("void", _void(report, bare))
    if ends is not None and upper <= 0:
        if found := _ahead(report):
            return _verdict("partly", _on_average(report, found))
        if any(part.subject == "release" for part in report.missing):
            return _verdict("open", _incomplete(report))
        raised = {flag.name for flag in report.flags}
        if "unusual-scale" in raised:
            return _verdict("open", _odd_file(report))
        if "polite-protocol" in raised:
            return _verdict("open", _polite(report))
        return _verdict("protected", _gains_nothing(report))
    if gap <= 0:
        return _verdict("open", _open(report))
    if bare is not None and upper < bare:
        return _verdict("partly", _partly(report, bare))
    return _verdict("unprotected", _keeps(report, bare))


def _verdict(level: Level, sentence: str) -> Verdict:
    return Verdict(level, _LABELS[level], f"{_LABELS[level]}: {sentence}")


def _thief(report: Report) -> str:
    return f"a thief with up to {report.budgets[-1]:,} labelled {clean(report.target)} images"


def _measured(envelope: Envelope) -> str:
    ends = confidence(envelope)
    spread = (
        "no interval from these runs" if ends is None else f"95{NBSP}% interval {interval(ends)}"
    )
    return f"{points(envelope.mean_gap)} points, {spread}"


def _price(report: Report) -> str:
    drop, name = report.source.drop_pp, clean(report.source.name)
    if round(drop, 1) == 0:
        return f"the model's accuracy on {name} did not change"
    return f"the model {'lost' if drop > 0 else 'gained'} {number(abs(drop), 1)} points on {name}"


def _gains_nothing(report: Report) -> str:
    return (
        f"{_thief(report)} gains nothing from this file over starting from scratch (average "
        f"accuracy difference {_measured(report.envelope)}), and {_price(report)}."
    )


def _ahead(report: Report) -> str:
    """How a thief gets ahead of scratch all the same; empty where none does."""
    flags = {flag.name: flag.message for flag in report.flags}
    if "head-start-at-some-budget" in flags:
        return flags["head-start-at-some-budget"].partition(", whatever")[0]
    name = max(report.attacks, key=lambda attack: report.attacks[attack].mean_gap, default="")
    if not name:
        return ""
    gap, ends = report.attacks[name].mean_gap, report.attacks[name].ci95
    if ends and ends[1] > 0:
        shown = points(gap)
        return f"the attack {clean(name)} alone comes to {shown} points, interval {interval(ends)}"
    if not ends and gap > 0:
        return f"the attack {clean(name)} alone comes to {points(gap)} points, without an interval"
    return ""


def _on_average(report: Report, ahead: str) -> str:
    return (
        f"on average over budgets {_thief(report)} gains nothing from this file over starting from "
        f"scratch ({_measured(report.envelope)}), but {ahead}; {_price(report)}."
    )


def _incomplete(report: Report) -> str:
    lost = sum(part.subject == "release" for part in report.missing)
    return (
        f"{_thief(report)} gains nothing from this file over starting from scratch by the attacks "
        f"that could be measured ({_measured(report.envelope)}), but {lost} of their runs could "
        f"not be; run the same audit again; {_price(report)}."
    )


def _odd_file(report: Report) -> str:
    return (
        f"{_thief(report)} gains nothing from this file over starting from scratch by these "
        f"attacks ({_measured(report.envelope)}), but its weights or statistics are of a kind that "
        "blocks fine-tuning without removing anything (flag unusual-scale), and a thief who puts "
        f"them right may get further; {_price(report)}."
    )


def _polite(report: Report) -> str:
    return (
        f"{_thief(report)} who keeps to the rules of {clean(report.protocol)}, which favour the "
        f"defender, gains nothing from this file over starting from scratch "
        f"({_measured(report.envelope)}), and nothing follows for one who does not; "
        f"{_price(report)}."
    )


def _open(report: Report) -> str:
    return (
        f"on average {_thief(report)} gains nothing from this file over starting from scratch "
        f"({_measured(report.envelope)}), but a small head start cannot be ruled out; "
        f"{_price(report)}."
    )


def _does(report: Report, still: str = "") -> str:
    """What the interval lets be said of a thief who is ahead by the estimate."""
    ends = confidence(report.envelope)
    return f"{still}does" if ends is None or ends[0] > 0 else f"may {still}do"


def _partly(report: Report, bare: float) -> str:
    # Something is left, so rounding must not make it the whole.
    removed = min(0.99, 1 - report.envelope.mean_gap / bare)
    return (
        f"{percent(removed, 0)} of the head start that the unprotected model gives is removed, but "
        f"{_thief(report)} {_does(report, 'still ')} better with this file than from scratch "
        f"(average accuracy difference {_measured(report.envelope)}; unprotected {points(bare)}), "
        f"and {_price(report)}."
    )


def _keeps(report: Report, bare: float | None) -> str:
    if bare is None:
        beside = ""
    else:
        alike = report.envelope.mean_gap < bare
        close = ", a difference within the uncertainty" if alike else ", which is no more"
        beside = f"; the unprotected model gives {points(bare)}{close}"
    return (
        f"{_thief(report)} {_does(report)} better with this file than from scratch (average "
        f"accuracy difference {_measured(report.envelope)}{beside}), and {_price(report)}."
    )


def _void(report: Report, bare: float | None) -> str:
    shown = "" if bare is None else f" (average accuracy difference {points(bare)} points)"
    return (
        f"the unprotected model gives {_thief(report)} no head start over training from "
        f"scratch{shown}, so nothing can be concluded about the protection of this file."
    )
