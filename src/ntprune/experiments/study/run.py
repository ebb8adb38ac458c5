"""Runs a study: what is there is not made again, and every variant adds to what is published."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ntprune.audit.schema import Report
from ntprune.engine import Progress, silent
from ntprune.experiments.common.machine import machine
from ntprune.experiments.common.stages import Say
from ntprune.experiments.study.publish import publish, require_own
from ntprune.experiments.study.record import Record, bare, read, thieves
from ntprune.experiments.study.variants import Study, Variant
from ntprune.experiments.study.workshop import Stage, Workshop


def run(
    study: Study,
    workshop: Workshop,
    *,
    pair: str,
    seeds: Sequence[int],
    results: Path,
    command: str,
    progress: Progress = silent,
) -> Record:
    """Protect and audit every variant under every seed, and publish after each.

    All variants under one seed come before the next seed, so that a study that is stopped has
    compared all of them.

    Args:
        study: what is compared.
        workshop: where and how releases are made.
        pair: name of the workshop's pair.
        seeds: of the protections.
        results: folder for `data.json`, `table.md` and `figure.svg`.
        command: to be recorded.
        progress: told how far the work is.

    Raises:
        NtpruneError: a mistake that a command found, or `results` holds another study's.
    """
    require_own(results, study, pair)
    asked = _asked(study, workshop, seeds)
    for done, (variant, seed) in enumerate(asked):
        where = f"{variant.label}, seed {seed}"
        progress(study.name, done, len(asked), where)
        if workshop.pending(variant, seed):
            workshop.make(variant, seed, _teller(progress, study.name, done, len(asked), where))
            publish(study, _record(study, workshop, pair, seeds, command), results)
    record = _record(study, workshop, pair, seeds, command)
    publish(study, record, results)
    progress(study.name, len(asked), len(asked), f"see {results}")
    return record


def outstanding(study: Study, workshop: Workshop, seeds: Sequence[int]) -> list[list[Stage]]:
    """For each release of the study, the commands that `run` would still run.

    A base model that is not there yet is counted once.
    """
    pending = [workshop.pending(variant, seed) for variant, seed in _asked(study, workshop, seeds)]
    first = next((i for i, stages in enumerate(pending) if stages), None)
    return [
        [stage for stage in stages if stage.name != "pretrain" or i == first]
        for i, stages in enumerate(pending)
    ]


def _asked(study: Study, workshop: Workshop, seeds: Sequence[int]) -> list[tuple[Variant, int]]:
    variants = study.variants(workshop.pair)
    return [(variant, seed) for seed in seeds for variant in variants]


def _teller(progress: Progress, name: str, done: int, total: int, where: str) -> Say:
    """Hands on what a command says as a note on how far the study is."""
    return lambda line: progress(name, done, total, f"{where}: {line}")


def _record(
    study: Study, workshop: Workshop, pair: str, seeds: Sequence[int], command: str
) -> Record:
    asked = _asked(study, workshop, seeds)
    made = [read(workshop, *each) for each in asked if not workshop.pending(*each)]
    reports: list[Report] = [report for _, report in made if report is not None]
    order = {variant.label: i for i, variant in enumerate(study.variants(workshop.pair))}
    found = {}
    if reports:
        found = {
            "protocol": reports[0].protocol,
            "thieves": thieves(reports[0]),
            "unprotected": bare(reports[0]),
        }
    return Record(
        study=study.name,
        question=study.question,
        pair=pair,
        command=command,
        seeds=list(seeds),
        planned=len(asked),
        rows=sorted((row for row, _ in made), key=lambda row: (order[row.label], row.seed)),
        machine=machine(),
        **found,
    )
