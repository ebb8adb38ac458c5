"""The tables of one audit, as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ntprune.attacks import attack_class, attack_names
from ntprune.audit.protocol import procedure
from ntprune.audit.schema import Curve, ScratchCurve
from ntprune.report.load import Audit
from ntprune.report.text import (
    NBSP,
    NONE,
    clean,
    duration,
    interval,
    lost,
    number,
    percent,
    points,
    signed,
)
from ntprune.report.text import setting as written
from ntprune.report.verdict import confidence

_CONTROLS = {
    "unprotected": "the model before protection",
    "magnitude": "smallest weights pruned, same sparsity",
    "random": "random weights pruned, same sparsity",
    "null": "the released file as it is, no training",
}


@dataclass(frozen=True)
class Table:
    """A caption (empty where the heads say it all), column heads and rows of text.

    Attributes:
        words: indices of the columns that hold words; the others hold numbers.
        strong: indices of the rows that stand out.
    """

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: tuple[int, ...] = (0,)
    strong: tuple[int, ...] = ()


def attacks(audit: Audit, protocol: str) -> Table:
    """Accuracy by budget: scratch, unprotected, every attack, the envelope."""
    report = audit.report
    curves: dict[str, ScratchCurve] = {"from scratch": report.scratch}
    if "unprotected" in report.controls:
        curves["unprotected model"] = report.controls["unprotected"].envelope
    curves |= {clean(name): curve for name, curve in report.attacks.items()}
    curves["thief's choice (envelope)"] = report.envelope
    return Table(
        f"Accuracy on {clean(report.target)} in % (mean ± standard deviation) by the number of "
        f"labelled images the thief has; {protocol}.",
        ("Attack", *(f"{budget:,}" for budget in report.budgets)),
        tuple((name, *_cells(curve)) for name, curve in curves.items()),
        strong=(len(curves) - 1,),
    )


def gaps(audit: Audit, protocol: str) -> Table:
    """Each attack in words and its distance from scratch."""
    known = set(attack_names())
    rows = [
        (
            clean(name),
            _summary(name, known),
            points(curve.mean_gap),
            NONE if curve.ci95 is None else interval(curve.ci95),
            signed(curve.slc_auc, 3),
        )
        for name, curve in audit.report.attacks.items()
    ]
    envelope = audit.report.envelope
    rows.append(
        (
            "thief's choice (envelope)",
            "at each budget, the attack its own validation data favour",
            points(envelope.mean_gap),
            NONE if (ends := confidence(envelope)) is None else interval(ends),
            signed(envelope.slc_auc, 3),
        )
    )
    strong = len(rows) - 1
    if envelope.or_scratch is not None:
        rows.append(
            (
                "… who may also give up",
                "as above, or training from scratch wherever that is better: can't be below zero, "
                "and says how much a release helps, never how much it hurts",
                points(envelope.or_scratch.mean_gap),
                NONE,
                signed(envelope.or_scratch.slc_auc, 3),
            )
        )
    return Table(
        "Distance of each attack on the released file from training from scratch. Mean gap: "
        "average accuracy difference in points. SLC-AUC: area between the two curves over the "
        f"base-10 logarithm of the budget. Below zero the file is worse than nothing; {protocol}.",
        ("Attack", "What the thief does", "Mean gap", f"95{NBSP}% interval", "SLC-AUC"),
        tuple(rows),
        words=(0, 1),
        strong=(strong,),
    )


def _summary(attack: str, known: set[str]) -> str:
    kind, _, recipe = attack.partition("@")
    if kind not in known:
        return NONE
    return attack_class(kind).summary + (f"; recipe {clean(recipe)}" if recipe else "")


def needs(audit: Audit, protocol: str) -> Table | None:
    """What the thief of each attack must have and know; None where it isn't recorded.

    A recipe changes nothing about it, so `finetune@sgd` stands with `finetune`.
    """
    threats = {procedure(name): threat for name, threat in audit.report.threats.items()}
    if not threats:
        return None
    rows = [
        (
            clean(name),
            written(threat.weights),
            written(threat.labels),
            written(threat.source),
            threat.mask,
            threat.head,
            clean(threat.knowledge),
        )
        for name, threat in threats.items()
    ]
    return Table(
        "What the thief of each attack must have and know, those on controls included. Mask: "
        "free, pruned weights may grow back; kept, they stay zero. Head: kept, the released one; "
        "new, a fresh one; any, the released one where it fits the target's classes. None: no "
        f"released weight is in the thief's model; {protocol}.",
        (
            "Attack",
            "Released weights",
            "Target labels",
            "Source images",
            "Mask",
            "Head",
            "Must know",
        ),
        tuple(rows),
        words=tuple(range(7)),
    )


def chosen(audit: Audit, protocol: str) -> Table | None:
    """How often each attack was the thief's choice, by budget."""
    report = audit.report
    names = sorted({name for counts in report.envelope.chosen for name in counts})
    if not names or len(report.envelope.chosen) != len(report.budgets):
        return None
    rows = [
        (clean(name), *(str(counts.get(name, 0)) for counts in report.envelope.chosen))
        for name in names
    ]
    return Table(
        f"How many runs chose each attack, by number of labelled images; {protocol}.",
        ("Attack", *(f"{budget:,}" for budget in report.budgets)),
        tuple(rows),
    )


def controls(audit: Audit, protocol: str) -> Table:
    """The release beside the models that should not be protected."""
    report = audit.report
    ends = confidence(report.envelope)
    rows = [
        (
            "this file",
            f"released, method {clean(audit.card.called)}",
            points(report.envelope.mean_gap),
            NONE if ends is None else interval(ends),
            signed(report.envelope.slc_auc, 3),
            percent(report.source.after),
            percent(audit.card.sparsity),
        )
    ]
    for name, control in report.controls.items():
        ends = confidence(control.envelope)
        rows.append(
            (
                clean(name),
                _CONTROLS.get(name, NONE),
                points(control.envelope.mean_gap),
                NONE if ends is None else interval(ends),
                signed(control.envelope.slc_auc, 3),
                percent(control.source),
                percent(control.sparsity),
            )
        )
    made = "; ".join(
        f"on {clean(name)} {', '.join(map(clean, control.attacks))}"
        for name, control in report.controls.items()
        if name != "null"
    )
    ways = f" He chooses among the attacks that were made: {made}." if made else ""
    return Table(
        "The same thief on this file and on models that are not protected. Mean gap and interval "
        f"in accuracy points relative to scratch; {protocol}.{ways}",
        (
            "Model",
            "What it is",
            "Mean gap",
            f"95{NBSP}% interval",
            "SLC-AUC",
            "Source accuracy",
            "Sparsity",
        ),
        tuple(rows),
        words=(0, 1),
        strong=(0,),
    )


def source(audit: Audit, protocol: str) -> Table:
    """Source accuracy of the unprotected model, of the released file and of the pruned controls."""
    change = audit.report.source
    rows = [
        ("before protection", percent(change.before, 2), NONE),
        ("this file", percent(change.after, 2), lost(change.drop_pp, change.ci95_pp, 2)),
    ]
    for name, control in audit.pruned.items():
        gone = lost(100 * (change.before - control.source), control.drop_ci95_pp, 2)
        rows.append((f"control: {clean(name)}", percent(control.source, 2), gone))
    if "max_source_drop" in audit.card.settings:
        limit = audit.card.settings["max_source_drop"]
        allowed = number(limit, 2) if isinstance(limit, int | float) else written(limit)
        rows.append(("allowed on validation data", NONE, allowed))
    spread = f", in brackets a 95{NBSP}% interval over its images" if change.ci95_pp else ""
    return Table(
        f"Test accuracy on {clean(change.name)}, measured in this audit, and what was lost of it, "
        f"in points{spread}; {protocol}.",
        ("Model", "Accuracy", "Points lost"),
        tuple(rows),
        strong=(1,),
    )


def layers(audit: Audit) -> Table:
    """Sparsity of each parameter that has a mask, from the card."""
    return Table(
        "Share of weights that are exactly zero in each layer with a mask, from the "
        "release's card.",
        ("Layer", "Sparsity"),
        tuple((clean(name), percent(share, 2)) for name, share in audit.card.layers.items()),
    )


def history(audit: Audit) -> Table | None:
    """The last training record of each phase; None without a history."""
    last = {str(record.get("phase", "training")): record for record in audit.history}
    if not last:
        return None
    keys = list(dict.fromkeys(key for r in last.values() for key in r if key != "phase"))
    rows = [
        (clean(phase), *(_figure(record.get(key)) for key in keys))
        for phase, record in last.items()
    ]
    return Table(
        "Last record of each training phase, measured by the defender while training.",
        ("Phase", *(clean(key) for key in keys)),
        tuple(rows),
    )


def settings(audit: Audit) -> tuple[Table, ...]:
    """Method, model, audit, versions and hashes."""
    card, report = audit.card, audit.report
    spec = card.model
    method = {
        "method": card.called,
        "protected against": card.targets,
        **card.settings,
        "steps spent": f"{card.steps:,}",
        "seed": card.seed,
    }
    model = {
        "architecture": spec.architecture,
        "width": spec.width,
        "stem": spec.stem,
        "input": f"{spec.preprocessing.channels} × {spec.preprocessing.size} × "
        f"{spec.preprocessing.size}",
        "classes": spec.classes,
    }
    run = {
        "protocol": report.protocol,
        "target": report.target,
        "budgets": ", ".join(f"{budget:,}" for budget in report.budgets),
        "jobs": f"{report.cost.jobs:,}",
        "optimiser steps": f"{report.cost.steps:,}",
        "time summed over jobs": duration(report.cost.seconds),
        "folder": audit.folder,
    }
    hashes = {
        "model.safetensors": card.weights_sha256,
        "masks.safetensors": card.masks_sha256,
        f"source data ({clean(card.source.name)})": card.source.content_hash,
    }
    return (
        _pairs("Audit", run),
        _pairs("Method and its settings", method),
        _pairs("Model", model),
        _versions(card.versions, report.versions),
        _pairs("SHA-256", hashes),
    )


def _versions(release: Mapping[str, str], audit: Mapping[str, str]) -> Table:
    names = list(dict.fromkeys((*release, *audit)))
    rows = [
        (clean(name), clean(release.get(name, NONE)), clean(audit.get(name, NONE)))
        for name in names
    ]
    return Table("", ("Versions", "Release", "Audit"), tuple(rows), words=(0, 1, 2))


def _pairs(heading: str, pairs: Mapping[str, Any]) -> Table:
    rows = tuple((clean(name), written(value)) for name, value in pairs.items())
    return Table("", (heading, ""), rows, words=(0, 1))


def _cells(curve: ScratchCurve | Curve) -> Sequence[str]:
    return [
        f"{number(100 * mean, 1)}{NBSP}±{NBSP}{number(100 * spread, 1)}"
        for mean, spread in zip(curve.curve, curve.spread, strict=True)
    ]


def _figure(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return f"{value:.3g}".replace("-", "\u2212") if isinstance(value, float) else written(value)
