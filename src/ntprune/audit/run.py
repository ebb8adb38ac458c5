"""The verb `audit`: attack a released file as a thief would, and say what protection is left."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ntprune.audit.assemble import assemble
from ntprune.audit.measure import measure
from ntprune.audit.points import Point, table
from ntprune.audit.prepare import Prepared, claim, ledger_folder, prepare, unclaimed
from ntprune.audit.protocol import Protocol
from ntprune.audit.schema import Report
from ntprune.domains import Domain
from ntprune.engine import Progress, silent
from ntprune.jobs import Context, Engine, Ledger, Store, make_engine
from ntprune.release.atomic import write_file, write_folder


@dataclass
class Audit:
    """A finished audit.

    Attributes:
        report: what `report.json` holds.
        points: one row a budget, seed and attack.
        history: training records of the release.
    """

    report: Report
    points: list[Point]
    history: list[dict[str, Any]]

    @property
    def mean_gap(self) -> float:
        """Of the envelope: the average accuracy difference to scratch, in [-1, 1]."""
        return self.report.envelope.mean_gap

    @property
    def slc_auc(self) -> float:
        """Of the envelope; negative is protected."""
        return self.report.envelope.slc_auc

    def save(self, path: str | Path) -> Path:
        """Write the findings to the new or empty folder `path`.

        Raises:
            OutputError: the folder is in use, not writable or full.
        """
        path = Path(path)
        with write_folder(path) as draft:
            self._write(draft)
        return path

    def _write(self, folder: Path) -> None:
        report = self.report.model_dump_json(indent=2, by_alias=True)
        write_file(folder / "points.csv", table(self.points).encode())
        write_file(folder / "history.json", json.dumps(self.history, indent=1).encode())
        write_file(folder / "report.json", report.encode())


def audit(
    release: str | Path,
    target: Domain,
    *,
    protocol: str | Protocol = "quick",
    source: Domain | None = None,
    base: str | Path | None = None,
    budgets: Sequence[int] | None = None,
    attacks: Sequence[str] | None = None,
    controls: Sequence[str] | None = None,
    out: str | Path | None = None,
    ledger: str | Path | None = None,
    first_seed: int = 0,
    engine: str | Engine = "inline",
    workers: int = 1,
    device: str = "auto",
    data_root: str | Path | None = None,
    progress: Progress = silent,
) -> Audit:
    """Attack the release in the folder `release` on `target`.

    Args:
        release: folder of the released file; it is loaded from disk and verified.
        target: the unauthorised domain; the thief draws from its `pool` split.
        protocol: name (`quick`, `quick/1`) or a protocol of your own.
        source: the authorised domain; by default loaded by its name on the card.
        base: folder of the unprotected model; by default `<release>.owner`, which `save` wrote.
        budgets: other sample counts than the protocol's; the protocol's name then says so, as it
            does of the next two.
        attacks: of the protocol's attacks on the release, these alone; a control is attacked with
            those of its own that are among them, and with all of its own where none is.
        controls: of the protocol's controls, these alone; `unprotected` must be one.
        out: folder for results; an audit that was stopped there is taken up again. Without it
            nothing is kept but what is returned.
        ledger: folder of finished jobs to share between audits; `<out>/jobs` if not given.
        first_seed: of the thieves; other than 0 is named with the protocol.
        engine: `inline`, `process`, `ray`, or an engine of your own.
        workers: jobs at a time.
        device: `auto`, `cpu`, `cuda`, ...
        data_root: where domains lie; `NTPRUNE_DATA` if not given.
        progress: told how far the work is.

    Raises:
        ReleaseInvalidError: the release is missing, damaged or was changed.
        AuditError: the unprotected model is not at hand, or too much could not be measured.
        SettingsError: budgets that the pool can't serve, or names that the protocol hasn't.
        UnknownNameError: no such protocol, engine or, where the source is to be loaded, domain.
        DataInvalidError: the target is the source or unsound, or the source's data is other data.
        DataMissingError: the source's data is not there.
        OutputError: `out` holds another audit, is not writable or full.
    """
    if isinstance(engine, str):
        engine = make_engine(engine, workers)
    given = prepare(
        release,
        target,
        protocol=protocol,
        source=source,
        base=base,
        budgets=budgets,
        attacks=attacks,
        controls=controls,
        first_seed=first_seed,
        data_root=data_root,
    )
    where = engine.device(device)
    # Everything that can be refused has been: from here on files are written.
    if out is None:
        with tempfile.TemporaryDirectory(prefix="ntprune-audit-") as folder:
            return _run(given, Path(folder), ledger, engine, where, progress)
    return _run(given, Path(out), ledger, engine, where, progress)


def _run(
    given: Prepared,
    out: Path,
    ledger: str | Path | None,
    engine: Engine,
    device: str,
    progress: Progress,
) -> Audit:
    plan = given.plan
    jobs = ledger_folder(out, ledger)
    store = Store(jobs / "store")
    if not jobs.is_relative_to(out.resolve()):
        # A ledger that can't be written is found out before `out` is this audit's.
        unclaimed(out, plan)
        store.put(given.source)
    claim(out, plan)
    for data in (given.source, given.target):
        store.put(data)
    context = Context(store.folder, jobs / "releases", given.places, device)
    findings = measure(plan, engine, context, Ledger(jobs), progress)
    counts = given.target.test.labels.bincount()
    guess = float(counts.max() / counts.sum())
    report = assemble(plan, findings, given.source.name, given.target.name, guess)
    finished = Audit(report, findings.points, plan.release.history)
    finished._write(out)
    return finished
