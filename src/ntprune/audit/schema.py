"""`report.json` and `points.csv`: what an audit says (docs/audit.md)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from ntprune.attacks import ThreatModel


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class ScratchCurve(_Frozen):
    """Training from scratch: mean test accuracy (0 to 1) at each budget, and its spread."""

    curve: list[FiniteFloat]
    spread: list[FiniteFloat]


class Curve(ScratchCurve):
    """One attack. Areas and gaps are relative to scratch; negative is protected.

    Attributes:
        curve: mean over seeds of the test accuracy at each budget, 0 to 1.
        spread: standard deviation over seeds at each budget.
        slc_auc: area to scratch over log10 of the budget.
        mean_gap: `slc_auc` divided by the log10 range: the average accuracy difference.
        ci95: paired 95 % interval of `mean_gap` over the seeds that have every point; none
            of fewer than two such seeds, or where it was not recorded.
    """

    slc_auc: FiniteFloat
    mean_gap: FiniteFloat
    ci95: tuple[float, float] | None = None


class Envelope(Curve):
    """The attack the thief would choose by its own validation data, budget by budget.

    Attributes:
        ci95: as above; an envelope has no missing points.
        chosen: at each budget, how often each attack was chosen.
        or_scratch: the same where the thief gives up and trains from scratch at every budget at
            which that is better on average over seeds, so that no gap is below zero.
    """

    ci95: tuple[float, float]
    chosen: list[dict[str, int]]
    or_scratch: Curve | None = None


class Control(_Frozen):
    """What the same thief makes of a model that should not be protected, or of no training.

    Attributes:
        source: test accuracy of the control on the source, 0 to 1.
        drop_ci95_pp: 95 % interval, in points, of what it lost of the unprotected model's; none
            for that model itself, and where it was not recorded.
        sparsity: share of its prunable weights that are zero.
        attacks: by name.
        envelope: over those attacks.
    """

    source: FiniteFloat
    drop_ci95_pp: tuple[float, float] | None = None
    sparsity: FiniteFloat
    attacks: dict[str, Curve]
    envelope: Envelope


class SourceChange(_Frozen):
    """Source test accuracy (0 to 1) of the unprotected and of the released file, measured now.

    Attributes:
        ci95_pp: 95 % interval of `drop_pp` over the test images, on which both are measured; none
            where both are the same file, and where it was not recorded.
    """

    name: str
    before: FiniteFloat
    after: FiniteFloat
    drop_pp: FiniteFloat
    ci95_pp: tuple[float, float] | None = None


class Flag(_Frozen):
    """Something a reader must know before believing the numbers.

    Attributes:
        name: key of its entry (`ntprune.audit.flags.texts`).
        message: what was seen, in one sentence.
    """

    name: str
    message: str


class Missing(_Frozen):
    """What could not be measured. A rerun tries it again.

    Attributes:
        subject: `release`, or the name of a control.
        attack, n, seed: the point; all three null where the whole subject is missing.
        reason: why its job gave no result, in one line.
    """

    subject: str
    attack: str | None = None
    n: int | None = None
    seed: int | None = None
    reason: str


class Cost(_Frozen):
    """What the audit took; the only block in which two runs of one audit may differ.

    Attributes:
        jobs: that it consists of.
        reused: those of them whose result was in the ledger; the others were run.
        steps: optimiser steps of all jobs.
        seconds: summed over all jobs, whenever they were run.
    """

    jobs: int
    reused: int = 0
    steps: int
    seconds: float


class Report(_Frozen):
    """`report.json`.

    Attributes:
        release: the release's card.
        threats: what a thief needs for each attack on the release, on a control or from scratch,
            by the attack's name. Empty where not recorded.
    """

    schema_version: Literal[1] = Field(default=1, alias="schema")
    protocol: str
    release: dict[str, Any]
    source: SourceChange
    target: str
    budgets: list[int]
    scratch: ScratchCurve
    attacks: dict[str, Curve]
    envelope: Envelope
    controls: dict[str, Control]
    threats: dict[str, ThreatModel] = Field(default_factory=dict)
    flags: list[Flag]
    missing: list[Missing] = Field(default_factory=list)
    versions: dict[str, str]
    cost: Cost

    @property
    def void(self) -> bool:
        """Whether the audit declares itself void: the unprotected model has no head start."""
        return any(flag.name == "void" for flag in self.flags)
