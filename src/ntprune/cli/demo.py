"""`ntprune demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ntprune.cli.console import emit, progress_bar, workers_or_cores
from ntprune.cli.options import DataRoot, Device, Json, Seed, Workers


def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything the demo makes.")] = Path(
        "demo-out"
    ),
    workers: Workers = 0,
    seed: Seed = 0,
    device: Device = "auto",
    data_root: DataRoot = None,
    json: Json = False,
) -> None:
    """Run the whole job on embedded images, without a download."""
    from ntprune.experiments.demo import run
    from ntprune.report import judge

    with progress_bar() as progress:
        finished, page = run(
            out,
            seed=seed,
            device=device,
            workers=workers_or_cores(workers, device),
            progress=progress,
        )
    report = finished.report
    verdict = judge(report).sentence.replace("\N{NO-BREAK SPACE}", " ")
    lines = [
        verdict,
        f"source {report.source.name}: {100 * report.source.before:.2f} % → "
        f"{100 * report.source.after:.2f} % (drop {report.source.drop_pp:+.2f} pp)",
        f"target {report.target}, protocol {report.protocol}, SLC-AUC against scratch:",
        f"  unprotected  {report.controls['unprotected'].envelope.slc_auc:+.3f}",
        f"  protected    {report.envelope.slc_auc:+.3f}",
        f"open {page}",
    ]
    document = {
        "html": str(page),
        "verdict": verdict,
        "report": report.model_dump(mode="json", by_alias=True),
    }
    emit(json, document, lines)
