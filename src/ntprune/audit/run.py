"""The verb `audit`: attack a released file as a thief would, and say what protection is left."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ntprune.audit.assemble import Findings, assemble
from ntprune.audit.plan import Plan
from ntprune.audit.points import Point, collect, table
from ntprune.audit.protocol import Protocol
from ntprune.audit.protocol import protocol as find_protocol
from ntprune.audit.schema import Report
from ntprune.domains import Domain, domain
from ntprune.engine import Progress, resolve_device, silent
from ntprune.errors import AuditError, DataInvalidError, OutputError, SettingsError
from ntprune.jobs import Context, Engine, Job, Ledger, Store, make_engine
from ntprune.release import Release, load
from ntprune.release.atomic import write_file, write_folder
from ntprune.release.files import owner_folder


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
        budgets: other sample counts than the protocol's; the protocol's name then says so.
        out: folder for results; an audit that was stopped there is taken up again. Without it
            nothing is kept but what is returned.
        ledger: folder of finished jobs to share between audits; `<out>/jobs` if not given.
        first_seed: of the thieves; other than 0 is named with the protocol.
        engine: `inline` or `process`, or an engine of your own.
        workers: jobs at a time.
        device: `auto`, `cpu`, `cuda`, ...
        data_root: where domains lie; `NTPRUNE_DATA` if not given.
        progress: told how far the work is.

    Raises:
        ReleaseInvalidError: the release is missing, damaged or was changed.
        AuditError: the unprotected model is not at hand, or an engine failed.
        SettingsError: budgets that the pool can't serve.
        OutputError: `out` holds another audit, is not writable or full.
    """
    if out is None:
        with tempfile.TemporaryDirectory(prefix="ntprune-audit-") as folder:
            return audit(
                release,
                target,
                protocol=protocol,
                source=source,
                base=base,
                budgets=budgets,
                out=folder,
                ledger=ledger,
                first_seed=first_seed,
                engine=engine,
                workers=workers,
                device=device,
                data_root=data_root,
                progress=progress,
            )
    out = Path(out)
    released = load(release)
    unprotected, base_place = _base(Path(release), released, base)
    source = _source(released, source, data_root)
    if target.content_hash == source.content_hash:
        raise DataInvalidError(
            f"target '{target.name}' is the source of this release: name another target"
        )
    rules = find_protocol(protocol) if isinstance(protocol, str) else protocol
    rules, grid = _budgets(rules, budgets, target)
    if first_seed:
        name = f"{rules.name} with seeds from {first_seed}"
        rules = rules.model_copy(update={"name": name, "first_seed": first_seed})
    plan = Plan(
        protocol=rules,
        budgets=tuple(grid),
        target=target.content_hash,
        source=source.content_hash,
        classes=target.classes,
        release=released,
        base=unprotected.card.weights_sha256,
    )
    if not plan.applicable(rules.attacks):
        raise SettingsError(
            f"no attack of protocol {rules.name} can be made on '{target.name}', whose classes are "
            "not the release's: use a protocol with attacks that put on a new head"
        )
    where = str(resolve_device(device))
    if isinstance(engine, str):
        engine = make_engine(engine, workers)
    # Everything that can be refused has been: from here on `out` is written to.
    _claim(out, plan)
    jobs = Path(ledger) if ledger else out / "jobs"
    store = Store(jobs / "store")
    for data in (source, target):
        store.put(data)
    context = Context(
        store=store.folder,
        produced=jobs / "releases",
        releases={plan.weights: Path(release), plan.base: base_place},
        device=where,
    )
    findings = _run(plan, engine, context, Ledger(jobs), progress)
    report = assemble(plan, findings, source.name, target.name, len(target.classes))
    finished = Audit(report, findings.points, released.history)
    finished._write(out)
    return finished


def _run(
    plan: Plan, engine: Engine, context: Context, ledger: Ledger, progress: Progress
) -> Findings:
    controls = plan.control_jobs()
    made = engine(list(controls.values()), context, ledger, stage="controls", progress=progress)
    weights = {"release": plan.weights, "unprotected": plan.base}
    weights |= {name: made_["weights"] for name, made_ in zip(controls, made, strict=True)}
    subjects: dict[tuple[str, str], list[Job]] = {("scratch", "scratch"): plan.scratch_jobs()}
    for subject, file in weights.items():
        wanted = plan.protocol.attacks
        if subject != "release":
            wanted = plan.protocol.controls.get(subject, ())
        for attack in plan.applicable(wanted):
            subjects[subject, attack] = plan.attack_jobs(attack, file)
    singles = {subject: plan.source_job(file) for subject, file in weights.items()}
    if "null" in plan.protocol.controls and plan.applicable(["null"]):
        singles["null"] = plan.null_job()
    # Longest first over all curves, so that the workers finish together.
    every = sorted(
        (job for jobs in subjects.values() for job in jobs), key=lambda job: -job.spec["n"]
    )
    engine([*every, *singles.values()], context, ledger, stage="attacks", progress=progress)
    results = {job.id: ledger.get(job) or {} for job in [*every, *singles.values()]}
    points = [
        point
        for (subject, _), jobs in subjects.items()
        for point in collect(subject, jobs, [results[job.id] for job in jobs])
    ]
    return Findings(
        points=points,
        singles={name: results[job.id] for name, job in singles.items()},
        costs=[*made, *results.values()],
    )


def _base(path: Path, released: Release, base: str | Path | None) -> tuple[Release, Path]:
    if released.card.method == "none" and base is None:
        return released, path
    place = Path(base) if base is not None else owner_folder(path)
    if not place.is_dir():
        raise AuditError(
            f"the audit needs the unprotected model as a control and found none at {place}: give "
            "its folder with --base"
        )
    unprotected = load(place)
    if released.card.base is not None and (
        unprotected.card.source != released.card.base
        or unprotected.card.model != released.card.model
    ):
        raise AuditError(
            f"{place} is not the model that {path} was made from (its card says otherwise): give "
            "the right folder with --base"
        )
    return unprotected, place


def _source(released: Release, source: Domain | None, root: str | Path | None) -> Domain:
    record = released.card.source
    source = source or domain(record.name, root)
    if source.content_hash != record.content_hash:
        raise DataInvalidError(
            f"the data of source '{source.name}' is not what the card was measured on: use the "
            "same files, or pass the domain the model was trained on"
        )
    return source


def _budgets(
    rules: Protocol, budgets: Sequence[int] | None, target: Domain
) -> tuple[Protocol, list[int]]:
    pool = len(target.pool)
    if budgets is None:
        return rules, rules.budgets(pool)
    grid = sorted(set(budgets))
    if len(grid) < 2 or grid[0] < 3:
        raise SettingsError("--budgets needs at least two different counts, each at least 3")
    if grid[-1] > pool:
        raise SettingsError(
            f"budget {grid[-1]} exceeds the {pool} images of the thief's pool of '{target.name}': "
            f"use budgets up to {pool}"
        )
    name = f"{rules.name} with budgets {','.join(map(str, grid))}"
    return rules.model_copy(update={"name": name}), grid


def _claim(out: Path, plan: Plan) -> None:
    """Mark `out` as the place of this audit, or refuse if it belongs to another."""
    file = out / "audit.json"
    text = json.dumps(plan.document(), indent=1, sort_keys=True)
    if file.exists():
        if file.read_bytes() != text.encode():
            raise OutputError(
                f"{out} holds an audit with other settings: choose another --out or remove it"
            )
    elif out.is_dir() and any(not p.name.startswith(f".{file.name}.") for p in out.iterdir()):
        # A run that was killed while it wrote this very file may have left a draft of it.
        raise OutputError(f"{out} holds something that is not an audit: choose another --out")
    else:
        write_file(file, text.encode())
