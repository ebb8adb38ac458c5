"""Reading an audit folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ntprune.audit.schema import Control, Report
from ntprune.errors import AuditError, first_fault, reading
from ntprune.release.card import Card

REPORT, HISTORY = "report.json", "history.json"
_AGAIN = "run the same 'ntprune audit' command again"


@dataclass(frozen=True)
class Audit:
    """What an audit folder holds.

    Attributes:
        folder: as the user named it.
        report: `report.json`.
        card: the release's card, out of the report.
        history: training records of the release; empty where none were kept.
    """

    folder: Path
    report: Report
    card: Card
    history: list[dict[str, Any]]

    @property
    def pruned(self) -> dict[str, Control]:
        """The controls whose weights are neither the unprotected model's nor the release's."""
        skip = ("unprotected", "null")
        return {name: c for name, c in self.report.controls.items() if name not in skip}


def load(folder: Path) -> Audit:
    """Read the audit in `folder`.

    Raises:
        AuditError: no folder, no finished audit, or files that are not an audit's.
    """
    file = folder / REPORT
    with reading(file, AuditError):
        if not folder.is_dir():
            raise AuditError(f"no audit at {folder}: run 'ntprune audit' first")
        if not file.is_file():
            raise AuditError(
                f"{file} is missing, so the audit is not finished: run 'ntprune audit' first, or "
                "finish it by running the same command again"
            )
    data = _read(file)
    try:
        report = Report.model_validate(data)
        card = Card.model_validate(report.release)
    except ValidationError as error:
        fault = first_fault(error)
        inside = "release." if error.title == Card.__name__ else ""
        raise AuditError(
            f"{file} is not an audit of this version ({inside}{fault.where}: {fault.expected}): "
            f"{_AGAIN}"
        ) from error
    _check_lengths(file, report)
    return Audit(folder, report, card, _history(folder / HISTORY))


def _history(file: Path) -> list[dict[str, Any]]:
    if not file.is_file():
        return []
    data = _read(file)
    if not isinstance(data, list) or not all(isinstance(record, dict) for record in data):
        raise AuditError(f"{file} is not a list of training records: delete it, or {_AGAIN}")
    return data


def _read(file: Path) -> Any:
    try:
        with reading(file, AuditError):
            return json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise AuditError(f"{file} is damaged ({error}): delete it and {_AGAIN}") from error


def _check_lengths(file: Path, report: Report) -> None:
    """Every curve has one value for each budget."""
    curves = {"scratch": report.scratch, "envelope": report.envelope, **report.attacks}
    for name, control in report.controls.items():
        curves |= {f"{name} envelope": control.envelope}
        curves |= {f"{name} {attack}": curve for attack, curve in control.attacks.items()}
    for name, curve in curves.items():
        for values in (curve.curve, curve.spread):
            if not report.budgets or len(values) != len(report.budgets):
                raise AuditError(
                    f"{file}: '{name}' has {len(values)} values for {len(report.budgets)} budgets: "
                    f"delete it and {_AGAIN}"
                )
