"""`ntprune audit`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from ntprune.cli.console import emit, progress_bar, workers_or_cores
from ntprune.cli.options import DataRoot, Device, Engine, Json, Workers
from ntprune.errors import SettingsError


def audit(
    release: Annotated[Path, typer.Argument(help="Folder of the released file.")],
    target: Annotated[str, typer.Option(help="Domain the thief wants to use it for.")],
    out: Annotated[Path, typer.Option(help="Folder for results; taken up again if stopped.")],
    protocol: Annotated[str, typer.Option(help="Rules: quick, standard, plus, paper.")] = "quick",
    base: Annotated[
        Path | None, typer.Option(help="The unprotected model (else <release>.owner).")
    ] = None,
    budgets: Annotated[
        str | None, typer.Option(help="Other sample counts, for instance 8,64,512.")
    ] = None,
    attacks: Annotated[
        str | None,
        typer.Option(help="Make only these of the protocol's attacks, for instance a,b."),
    ] = None,
    controls: Annotated[
        str | None, typer.Option(help="Make only these of its controls; must include unprotected.")
    ] = None,
    ledger: Annotated[
        Path | None, typer.Option(help="Folder of finished jobs to share between audits.")
    ] = None,
    engine: Engine = "process",
    workers: Workers = 0,
    address: Annotated[
        str | None,
        typer.Option(
            help="Address of a Ray cluster, host:port or auto; without it one is started."
        ),
    ] = None,
    gpus_per_job: Annotated[
        float, typer.Option(help="Share of a GPU that each job books with ray.")
    ] = 0.0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it would take, and write nothing.")
    ] = False,
    seed: Annotated[
        int,
        typer.Option(help="Seed of the first thief; any but 0 is recorded in the protocol's name."),
    ] = 0,
    device: Device = "auto",
    data_root: DataRoot = None,
    json: Json = False,
) -> None:
    """Attack a release as a thief would, and say what it gained."""
    from ntprune.audit import audit as run
    from ntprune.audit import forecast, prepare
    from ntprune.domains import domain
    from ntprune.jobs import make_engine, span
    from ntprune.report import judge

    # A cluster's jobs book their GPUs; processes of one machine have to share what there is.
    shared = "cpu" if engine == "ray" else device
    runner = make_engine(
        engine, workers_or_cores(workers, shared), address=address, gpus_per_job=gpus_per_job
    )
    data = domain(target, data_root)
    what: dict[str, Any] = {
        "protocol": protocol,
        "base": base,
        "budgets": _counts(budgets),
        "attacks": _names(attacks),
        "controls": _names(controls),
        "first_seed": seed,
        "data_root": data_root,
    }
    how: dict[str, Any] = {"engine": runner, "out": out, "ledger": ledger, "device": device}
    if dry_run:
        found = forecast(prepare(release, data, **what), **how)
        lines = [
            f"{found.jobs} jobs, {found.new} of them new ({found.jobs - found.new} in the ledger)",
            f"at most {found.steps:,} optimiser steps to take",
            f"estimate: {span(found.seconds)} with engine {engine}, {found.workers} at a time, on "
            f"{found.device} (from a few steps timed on this machine)",
        ]
        emit(json, found.document(), lines)
        return
    with progress_bar() as progress:
        finished = run(release, data, progress=progress, **what, **how)
    report = finished.report
    low, high = report.envelope.ci95
    verdict = judge(report).sentence.replace("\N{NO-BREAK SPACE}", " ")
    lines = [
        verdict,
        f"{report.protocol} on {report.target}: mean gap {report.envelope.mean_gap:+.4f} "
        f"(95 % interval {low:+.4f} to {high:+.4f}), SLC-AUC {report.envelope.slc_auc:+.4f}; "
        f"source drop {report.source.drop_pp:+.2f} pp{_spread(report.source.ci95_pp)}",
        *(f"  {name}: SLC-AUC {curve.slc_auc:+.4f}" for name, curve in report.attacks.items()),
        *(
            f"  control {name}: SLC-AUC {control.envelope.slc_auc:+.4f}"
            for name, control in report.controls.items()
        ),
        *(f"  flag {flag.name}: {flag.message}" for flag in report.flags),
        f"next: ntprune report {shlex.quote(str(out))} --out report.html",
    ]
    emit(json, report.model_dump(mode="json", by_alias=True) | {"verdict": verdict}, lines)


def _counts(text: str | None) -> list[int] | None:
    if text is None:
        return None
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise SettingsError(f"--budgets {text}: expected counts such as 8,64,512") from error


def _names(text: str | None) -> list[str] | None:
    return None if text is None else [part.strip() for part in text.split(",")]


def _spread(ends: tuple[float, float] | None) -> str:
    return "" if ends is None else f" (95 % interval {ends[0]:+.2f} to {ends[1]:+.2f})"
