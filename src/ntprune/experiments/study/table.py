"""The table of a study, in Markdown."""

from __future__ import annotations

from ntprune.experiments.study.record import Group, Measured, Record
from ntprune.report.text import NONE, duration, number, percent, signed

_HEAD = ("variant", "protections", "sparsity", "source drop, test, pp", "validation, pp")


def table(record: Record) -> str:
    """One row a variant, then what a reader must know, then what could not be released."""
    audited = [*([record.unprotected] if record.unprotected else []), *_measured(record)]
    attacks = list(dict.fromkeys(name for each in audited for name in each.attacks))
    head = [*_HEAD, "SLC-AUC, mask ignored (95 %)", *(f"`{name}`" for name in attacks), "flags"]
    rows = [_row(group, attacks) for group in record.groups()]
    if record.unprotected:
        rows.insert(0, _bare(record.unprotected, attacks))
    lines = [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]
    return "\n".join((f"{record.question}\n", *lines, "", *_notes(record))) + "\n"


def _bare(found: Measured, attacks: list[str]) -> list[str]:
    area = f"{signed(found.slc_auc, 3)} ({_interval(found.ci95)})"
    each = _each([found], attacks)
    return ["unprotected", NONE, percent(found.sparsity), NONE, NONE, area, *each, NONE]


def _measured(record: Record) -> list[Measured]:
    return [found for group in record.groups() for found in group.measured]


def _each(found: list[Measured], attacks: list[str]) -> list[str]:
    """The mean of every attack, where it was made on all."""
    return [
        signed(sum(each.attacks[name] for each in found) / len(found), 3)
        if all(name in each.attacks for each in found)
        else NONE
        for name in attacks
    ]


def _row(group: Group, attacks: list[str]) -> list[str]:
    found, asked = group.measured, len(group.rows)
    label = [group.label, str(asked) if len(found) == asked else f"{len(found)} of {asked}"]
    if not found:
        return label + [NONE] * (5 + len(attacks))
    ends = group.ends("slc_auc")
    flags = sorted({flag for each in found for flag in each.flags})
    return [
        *label,
        percent(group.mean("sparsity")),
        signed(group.mean("drop_test_pp"), 2),
        signed(group.mean("drop_validation_pp"), 2),
        signed(group.mean("slc_auc"), 3) + (f" ({_interval(ends)})" if ends else ""),
        *_each(found, attacks),
        ", ".join(flags) or "none",
    ]


def _interval(ends: tuple[float, float]) -> str:
    return f"{signed(ends[0], 3)} to {signed(ends[1], 3)}"


def _notes(record: Record) -> list[str]:
    seconds = sum(sum(row.seconds.values()) for row in record.rows)
    versions = record.machine["versions"]
    lines = [
        f"- {record.pair}, {record.protocol}, {record.thieves} thieves a point. Protections with "
        f"seeds {', '.join(map(str, record.seeds))}; intervals are {record.intervals}.",
        f"- {len(record.rows)} of {record.planned} made, {duration(seconds)} together. "
        f"{record.machine['processor']}, {record.machine['cores']} cores, torch "
        f"{versions['torch']}, ntprune {versions['ntprune']}.",
        f"- `{record.command}`",
    ]
    for group in record.groups():
        for row in group.refused:
            why = (
                f"not released: {row.refused}"
                if row.lost_pp is None
                else "not inside the constraint; the best checkpoint lost "
                f"{number(row.lost_pp, 2)} points on validation data."
            )
            lines.append(f"- **{row.label}**, seed {row.seed}: {why}")
    return lines
