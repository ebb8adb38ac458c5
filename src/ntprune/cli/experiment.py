"""`ntprune experiment`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from ntprune.cli.console import emit, progress_bar, workers_or_cores
from ntprune.cli.options import DataRoot, Device, Json, Workers


def experiment(
    name: Annotated[str, typer.Argument(help="frontier, ablation or sparsity.")],
    pair: Annotated[
        str, typer.Option(help="Domains, for instance optdigits-blended, which needs no files.")
    ] = "mnist-usps",
    seeds: Annotated[
        int | None,
        typer.Option(help="Protections of each variant (else the study's number).", min=1),
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Folder for models, releases and audits, shared by all studies.")
    ] = Path("runs/studies"),
    results: Annotated[
        Path | None,
        typer.Option(help="Folder of table, figure and data (else results/NAME-PAIR)."),
    ] = None,
    workers: Workers = 0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be run, and write nothing.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the base model and the first protection.")] = 0,
    device: Device = "auto",
    data_root: DataRoot = None,
    json: Json = False,
) -> None:
    """Run a study and publish its table and figure."""
    from ntprune.domains import domain
    from ntprune.engine import resolve_device
    from ntprune.experiments.common.named_pairs import named_pair
    from ntprune.experiments.common.stages import shown
    from ntprune.experiments.studies import named_study
    from ntprune.experiments.study import Workshop, outstanding, require_own, run

    study, domains = named_study(name), named_pair(pair)
    protections = range(seed, seed + (seeds or study.seeds))
    place = results or Path("results") / f"{name}-{pair}"
    common = ["--device", device]
    if data_root is not None:
        common += ["--data-root", str(data_root)]
    workshop = Workshop(domains, out, seed, workers_or_cores(workers, device), tuple(common))
    require_own(place, study, pair)
    if dry_run:
        left = outstanding(study, workshop, protections)
        commands = [shown(stage.arguments) for stages in left for stage in stages]
        missing = sum(bool(stages) for stages in left)
        line = f"{name} on {pair}: {len(left)} releases, {missing} of them to be made or audited"
        document = {"releases": len(left), "missing": missing, "commands": commands}
        emit(json, document, [line, *commands])
        return
    resolve_device(device)
    for side in (domains.source, domains.target):
        domain(side, data_root)
    command = ["ntprune", "experiment", name, "--pair", pair, "--seeds", str(len(protections))]
    command += ["--seed", str(seed), "--out", str(out), "--results", str(place)]
    with progress_bar() as progress:
        record = run(
            study,
            workshop,
            pair=pair,
            seeds=protections,
            results=place,
            command=shlex.join(command),
            progress=progress,
        )
    lines = [f"{len(record.rows)} releases; see {place}/table.md and {place}/figure.svg"]
    emit(json, record.model_dump(mode="json", by_alias=True), lines)
