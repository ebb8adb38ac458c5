"""What came out of a study: one row a release, and rows of one variant together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ntprune.audit.schema import Envelope, Report
from ntprune.experiments.common.stages import noted
from ntprune.experiments.study.variants import Variant
from ntprune.experiments.study.workshop import Workshop
from ntprune.metrics import mean_interval
from ntprune.release import Card
from ntprune.report.load import load


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Measured(_Frozen):
    """One audited file. Areas are SLC-AUC against scratch, of a thief who ignores the mask.

    Attributes:
        source_test, source_validation: accuracy on the source, 0 to 1.
        drop_test_pp, drop_validation_pp: percentage points below the unprotected model.
        sparsity: share of prunable weights that are zero.
        slc_auc: of the attack the thief would choose by his own held-out images.
        ci95: interval of `slc_auc` over the thieves.
        attacks: SLC-AUC of each attack.
        flags: that the audit raised.
    """

    source_test: float
    source_validation: float
    drop_test_pp: float
    drop_validation_pp: float
    sparsity: float
    slc_auc: float
    ci95: tuple[float, float]
    attacks: dict[str, float]
    flags: list[str]

    @property
    def kept(self) -> float:
        """Share of prunable weights that are not zero."""
        return 1 - self.sparsity


class Row(_Frozen):
    """One variant under one seed.

    Attributes:
        label, series, at, method, settings: of the variant.
        seed: of the protection.
        place: its folder in the workshop.
        commands: that made and audited it.
        seconds: they took.
        measured: what was found; none if nothing could be released.
        refused: why, as `ntprune protect` said it.
        lost_pp: the least that a checkpoint lost on validation data, where none kept the
            constraint.
    """

    label: str
    series: str
    at: float | None
    method: str
    settings: dict[str, Any]
    seed: int
    place: str
    commands: list[str]
    seconds: dict[str, float]
    measured: Measured | None = None
    refused: str | None = None
    lost_pp: float | None = None


class Record(_Frozen):
    """`data.json`.

    Attributes:
        study, question, pair: names, and what was asked.
        command: that takes it up again or repeats it.
        protocol: of the audits, with its reductions.
        thieves: seeds a point of each audit.
        seeds: of the protections.
        planned: rows of the finished study.
        unprotected: the model that all variants start from.
        rows: what there is so far.
        machine: it was measured on.
    """

    schema_version: Literal[1] = Field(default=1, alias="schema")
    study: str
    question: str
    pair: str
    command: str
    protocol: str = ""
    thieves: int = 0
    seeds: list[int]
    planned: int
    unprotected: Measured | None = None
    rows: list[Row]
    machine: dict[str, Any]

    @property
    def intervals(self) -> str:
        """What intervals are over, in words."""
        if len(self.seeds) == 1:
            return "over the thieves of the one protection"
        return "over protections (Student; of a single one, over its thieves)"

    def groups(self, series: str | None = None) -> list[Group]:
        """Rows by variant, of one series or of all, in the order of the study."""
        labels = dict.fromkeys(r.label for r in self.rows if series in (None, r.series))
        return [Group(label, [r for r in self.rows if r.label == label]) for label in labels]


@dataclass(frozen=True)
class Group:
    """One variant over the seeds of its protections."""

    label: str
    rows: Sequence[Row]

    @property
    def measured(self) -> list[Measured]:
        """What was audited."""
        return [row.measured for row in self.rows if row.measured is not None]

    @property
    def refused(self) -> list[Row]:
        """What kept no constraint."""
        return [row for row in self.rows if row.measured is None]

    def values(self, name: str) -> list[float]:
        """Figure `name` of each protection that was measured."""
        return [getattr(each, name) for each in self.measured]

    def mean(self, name: str) -> float:
        """Of `values`."""
        return fmean(self.values(name))

    def ends(self, name: str) -> tuple[float, float] | None:
        """95 % interval: over protections or, of a single one's SLC-AUC, over its thieves."""
        if len(self.measured) > 1:
            return mean_interval(self.values(name))
        return self.measured[0].ci95 if name == "slc_auc" else None


def read(workshop: Workshop, variant: Variant, seed: int) -> tuple[Row, Report | None]:
    """The row of a variant that has been made, and its audit's report where there is one."""
    place = workshop.place(variant, seed)
    notes = {stage: noted(place, stage) for stage in ("protect", "audit")}
    file = place / "audit" / "report.json"
    report = load(file.parent).report if file.exists() else None
    row = Row(
        label=variant.label,
        series=variant.series,
        at=variant.at,
        method=variant.method,
        settings=variant.settings,
        seed=seed,
        place=str(Path(workshop.folder.name) / place.name),
        commands=[facts["command"] for facts in notes.values() if facts],
        seconds={stage: facts["seconds"] for stage, facts in notes.items() if "seconds" in facts},
        measured=_release(report) if report else None,
        refused=notes["protect"].get("refused"),
        lost_pp=notes["protect"].get("lost_pp"),
    )
    return row, report


def bare(report: Report) -> Measured:
    """The unprotected model, as the audit of a release found it."""
    card = Card.model_validate(report.release)
    before = card.base or card.source
    control = report.controls["unprotected"]
    return Measured(
        source_test=report.source.before,
        source_validation=before.validation,
        drop_test_pp=0.0,
        drop_validation_pp=0.0,
        sparsity=control.sparsity,
        slc_auc=control.envelope.slc_auc,
        ci95=_area(control.envelope, report),
        attacks={name: curve.slc_auc for name, curve in control.attacks.items()},
        flags=[],
    )


def thieves(report: Report) -> int:
    """Seeds a point."""
    return sum(report.envelope.chosen[0].values())


def _release(report: Report) -> Measured:
    card = Card.model_validate(report.release)
    before = card.base or card.source
    return Measured(
        source_test=report.source.after,
        source_validation=card.source.validation,
        drop_test_pp=report.source.drop_pp,
        drop_validation_pp=round(100 * (before.validation - card.source.validation), 4),
        sparsity=card.sparsity,
        slc_auc=report.envelope.slc_auc,
        ci95=_area(report.envelope, report),
        attacks={name: curve.slc_auc for name, curve in report.attacks.items()},
        flags=[flag.name for flag in report.flags],
    )


def _area(envelope: Envelope, report: Report) -> tuple[float, float]:
    """The interval of the mean gap as one of SLC-AUC."""
    span = math.log10(report.budgets[-1] / report.budgets[0])
    return envelope.ci95[0] * span, envelope.ci95[1] * span
