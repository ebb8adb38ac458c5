"""The view-model: everything that both the HTML and the Markdown report say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ntprune.audit.flags.texts import entries
from ntprune.report import tables
from ntprune.report.load import Audit
from ntprune.report.tables import Table
from ntprune.report.text import NBSP, clean, ends_of, interval, lost, number, percent, points
from ntprune.report.verdict import Verdict, confidence, judge, seeds


@dataclass(frozen=True)
class KeyNumber:
    """One of the figures that stand out: its name, its value, and what it means."""

    label: str
    value: str
    note: str


@dataclass(frozen=True)
class FlagView:
    """A flag, its sentence, and whether the report has an entry that explains it."""

    name: str
    message: str
    explained: bool


# Text in pieces, with whether each is code.
Prose = tuple[tuple[str, bool], ...]


@dataclass(frozen=True)
class EntryView:
    """What a flag says: when it is raised, what that means, what to do."""

    name: str
    raised: Prose
    meaning: Prose
    remedy: Prose


@dataclass(frozen=True)
class Section:
    """One audit.

    Attributes:
        title: source, target and method.
        protocol: name of the protocol and number of runs, to stand beside numbers.
        needs: what the thief of each attack needs; None where it isn't recorded.
        chosen: what the thief would have used at each budget; None where it isn't recorded.
        settings: of the method, the model and the audit.
    """

    title: str
    folder: str
    protocol: str
    verdict: Verdict
    key_numbers: tuple[KeyNumber, ...]
    attacks: Table
    gaps: Table
    needs: Table | None
    chosen: Table | None
    controls: Table
    flags: tuple[FlagView, ...]
    source: Table
    layers: Table
    history: Table | None
    settings: tuple[Table, ...]


@dataclass(frozen=True)
class Page:
    """The whole report.

    Attributes:
        summary: where there are several audits.
        entries: of every flag that any of them raised.
    """

    title: str
    summary: Table | None
    sections: tuple[Section, ...]
    entries: tuple[EntryView, ...]


def build(audits: Sequence[Audit]) -> Page:
    """The view-model of one report on `audits`."""
    sections = tuple(section(audit) for audit in audits)
    summary = _summary(audits, sections) if len(audits) > 1 else None
    title = sections[0].title if summary is None else f"{len(audits)} audits"
    return Page(title, summary, sections, _entries(audits))


def section(audit: Audit) -> Section:
    """The view-model of one audit."""
    report = audit.report
    runs = seeds(report.envelope)
    repeated = f", {runs} {'run' if runs == 1 else 'runs'}" if runs else ""
    protocol = f"protocol {clean(report.protocol)}{repeated}"
    return Section(
        title=_title(audit),
        folder=clean(audit.folder),
        protocol=protocol,
        verdict=judge(report),
        key_numbers=_key_numbers(audit),
        attacks=tables.attacks(audit, protocol),
        gaps=tables.gaps(audit, protocol),
        needs=tables.needs(audit, protocol),
        chosen=tables.chosen(audit, protocol),
        controls=tables.controls(audit, protocol),
        flags=tuple(
            FlagView(clean(f.name), clean(f.message), f.name in entries()) for f in report.flags
        ),
        source=tables.source(audit, protocol),
        layers=tables.layers(audit),
        history=tables.history(audit),
        settings=tables.settings(audit),
    )


def _entries(audits: Sequence[Audit]) -> tuple[EntryView, ...]:
    raised = {flag.name for audit in audits for flag in audit.report.flags}
    return tuple(
        EntryView(name, _prose(entry.raised), _prose(entry.meaning), _prose(entry.remedy))
        for name, entry in entries().items()
        if name in raised
    )


def _prose(text: str) -> Prose:
    # Backticks come in pairs, so every other piece is code.
    return tuple((part, bool(i % 2)) for i, part in enumerate(text.split("`")))


def _title(audit: Audit) -> str:
    source, target = clean(audit.report.source.name), clean(audit.report.target)
    method = clean(audit.card.called)
    if method == "none":
        return f"{source} model, unprotected, reused for {target}"
    return f"{source} model, protected by {method}, reused for {target}"


def _key_numbers(audit: Audit) -> tuple[KeyNumber, ...]:
    report, envelope = audit.report, audit.report.envelope
    ends = confidence(envelope)
    shown = "no interval from these runs" if ends is None else f"95{NBSP}% {interval(ends)}"
    source = report.source
    numbers = [
        KeyNumber(
            "Thief's head start",
            f"{points(envelope.mean_gap)}{NBSP}points",
            f"mean gap to scratch, {shown}",
        )
    ]
    bare = report.controls.get("unprotected")
    if bare is not None:
        numbers.append(
            KeyNumber(
                "Without protection",
                f"{points(bare.envelope.mean_gap)}{NBSP}points",
                "the same thief on the unprotected model",
            )
        )
    change = (
        "no change"
        if round(source.drop_pp, 1) == 0
        else f"{number(abs(source.drop_pp), 1)} points {'lost' if source.drop_pp > 0 else 'gained'}"
    )
    if source.ci95_pp is not None:
        change += f"; 95{NBSP}% interval of the loss {ends_of(source.ci95_pp, 1)}"
    return (
        *numbers,
        KeyNumber(
            "Accuracy on the source",
            percent(source.after),
            f"on {clean(source.name)}; {percent(source.before)} before, {change}",
        ),
        KeyNumber(
            "Sparsity",
            percent(audit.card.sparsity),
            "of the prunable weights are exactly zero",
        ),
    )


def _summary(audits: Sequence[Audit], sections: Sequence[Section]) -> Table:
    rows = []
    for index, (audit, part) in enumerate(zip(audits, sections, strict=True), 1):
        report, ends = audit.report, confidence(audit.report.envelope)
        bare = report.controls.get("unprotected")
        rows.append(
            (
                f"{index}. {clean(report.source.name)} to {clean(report.target)}, "
                f"{clean(audit.card.called)}",
                part.verdict.label,
                points(report.envelope.mean_gap),
                "–" if ends is None else interval(ends),
                "–" if bare is None else points(bare.envelope.mean_gap),
                lost(report.source.drop_pp, report.source.ci95_pp, 1),
                percent(audit.card.sparsity),
                clean(report.protocol),
            )
        )
    spread = ""
    if any(audit.report.source.ci95_pp for audit in audits):
        spread = f", in brackets its 95{NBSP}% interval over test images"
    differ = len({a.report.protocol for a in audits}) > 1
    warning = " Numbers from different protocols cannot be compared." if differ else ""
    return Table(
        "All audits in this report. Mean gap and its interval in accuracy points relative to "
        "training from scratch; below zero the thief is behind on average. Source drop in points"
        f"{spread}.{warning}",
        (
            "Audit",
            "Verdict",
            "Mean gap",
            f"95{NBSP}% interval",
            "Unprotected",
            "Source drop",
            "Sparsity",
            "Protocol",
        ),
        tuple(rows),
        words=(0, 1, 7),
    )
