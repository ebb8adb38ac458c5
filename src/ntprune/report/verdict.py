"""The sentence that a manager reads."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from ntprune.audit.schema import Control, Envelope, Report
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
        level: `open` where the mean is at or below scratch but the interval reaches above it; and
            where the figures speak for protection, but the protocol is a polite one, the file
            looks as if it had been tampered with, or not every attack on the release could be
            measured.
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
    and no attack is ahead of scratch at any budget. Partly protected: protected on average alone,
    or above scratch and below the unprotected model by more than both intervals allow for. Neither
    where a single attack comes to what the unprotected model gives; and neither, but open, where
    runs on the release are missing, the file has a scale that blocks training instead of removing
    what was learnt, or the protocol favours the defender.
    """
    envelope, gap = report.envelope, report.envelope.mean_gap
    ends = confidence(envelope)
    control = report.controls.get("unprotected")
    bare = None if control is None else control.envelope.mean_gap
    if report.void:
        return _verdict("void", _void(report, control))
    below = ends is not None and ends[1] <= 0
    if gap <= 0 and not below:
        return _verdict("open", _open(report))
    if not below and (control is None or not _smaller(envelope, control.envelope)):
        return _verdict("unprotected", _keeps(report, bare))
    if bare is not None and (found := _takes_all(report, bare)):
        return _verdict("unprotected", found)
    ahead = _ahead(report)
    if not below:
        claim = _partly(report, bare or 0.0)
    elif ahead:
        claim = _on_average(report, ahead)
    else:
        claim = _gains_nothing(report)
    if doubt := _doubt(report):
        return _verdict("open", f"{claim}; yet {doubt}; {_price(report)}.")
    if below and ahead:
        return _verdict("partly", f"{claim}; {_price(report)}.")
    return _verdict("protected" if below else "partly", f"{claim}, and {_price(report)}.")


def _smaller(left: Envelope, bare: Envelope) -> bool:
    """Whether `left` is below `bare` by more than chance.

    The 95 % interval of their difference, made of those of the two (MOVER; Zou & Donner 2008), is
    above zero. Thieves have the same images in both, which it doesn't make use of.
    """
    below = confidence(bare)
    above = confidence(left)
    spread = math.hypot(
        0.0 if below is None else bare.mean_gap - below[0],
        0.0 if above is None else above[1] - left.mean_gap,
    )
    return bare.mean_gap - left.mean_gap > spread


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
        f"accuracy difference {_measured(report.envelope)})"
    )


def _ahead(report: Report) -> str:
    """How a thief gets ahead of scratch all the same; empty where none does."""
    if shown := _at_some_budget(report):
        return shown
    name = _strongest(report)
    if not name:
        return ""
    gap, ends = report.attacks[name].mean_gap, report.attacks[name].ci95
    if ends and ends[1] > 0:
        shown = points(gap)
        return f"the attack {clean(name)} alone comes to {shown} points, interval {interval(ends)}"
    if not ends and gap > 0:
        return f"the attack {clean(name)} alone comes to {points(gap)} points, without an interval"
    return ""


def _at_some_budget(report: Report) -> str:
    """The lead that a flag says is shown; empty if there is none."""
    flags = {flag.name: flag.message for flag in report.flags}
    return flags.get("head-start-at-some-budget", "").partition(", whatever")[0]


def _on_average(report: Report, ahead: str) -> str:
    return (
        f"on average over budgets {_thief(report)} gains nothing from this file over starting from "
        f"scratch ({_measured(report.envelope)}), but {ahead}"
    )


def _doubt(report: Report) -> str:
    """Why no protection can be said to be there, whatever the figures; empty if nothing speaks."""
    if lost := sum(part.subject == "release" for part in report.missing):
        return f"{lost} of the runs on it could not be measured: run the same audit again"
    raised = {flag.name for flag in report.flags}
    if "unusual-scale" in raised:
        return (
            "its weights or statistics are of a kind that blocks fine-tuning without removing "
            "anything (flag unusual-scale), and a thief who puts them right may get further"
        )
    if "polite-protocol" in raised:
        return (
            f"the rules of {clean(report.protocol)} favour the defender, and nothing follows for "
            "a thief who does not keep to them"
        )
    return ""


def _takes_all(report: Report, bare: float) -> str:
    """That one attack is as good as on the unprotected model; empty if none is."""
    name = _strongest(report)
    if not name or report.attacks[name].mean_gap < bare:
        return ""
    return (
        f"with {clean(name)} alone {_thief(report)} is {points(report.attacks[name].mean_gap)} "
        f"points above scratch, and the unprotected model gives {points(bare)}; it is only by his "
        f"choice among attacks that he comes to {_measured(report.envelope)}; {_price(report)}."
    )


def _strongest(report: Report) -> str:
    return max(report.attacks, key=lambda attack: report.attacks[attack].mean_gap, default="")


def _open(report: Report) -> str:
    left = "a small head start cannot be ruled out"
    if shown := _at_some_budget(report):
        left = f"{shown}, and a small head start on average cannot be ruled out"
    return (
        f"on average {_thief(report)} gains nothing from this file over starting from scratch "
        f"({_measured(report.envelope)}), but {left}; {_price(report)}."
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
        f"(average accuracy difference {_measured(report.envelope)}; unprotected {points(bare)})"
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


def _void(report: Report, control: Control | None) -> str:
    if control is None:
        return (
            "there is no unprotected model to compare with, so nothing can be concluded about the "
            "protection of this file."
        )
    # Few thieves may not show what is there.
    none = control.envelope.mean_gap <= 0
    found, no = ("gives", "no") if none else ("is not shown to give", "a")
    return (
        f"the unprotected model {found} {_thief(report)} {no} head start over training from "
        f"scratch (average accuracy difference {_measured(control.envelope)}), so nothing can be "
        "concluded about the protection of this file."
    )
