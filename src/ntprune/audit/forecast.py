"""What an audit will take: its jobs and steps, counted, and its time, estimated."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ntprune.audit.plan import Plan
from ntprune.audit.prepare import Prepared, ledger_folder, prepare, unclaimed
from ntprune.audit.protocol import Protocol
from ntprune.audit.reduce import Reduction
from ntprune.audit.subsets import subset
from ntprune.domains import Domain
from ntprune.engine import Batches, Resident, accuracy, generator, resolve_device, threads, train
from ntprune.errors import UnknownNameError
from ntprune.jobs import Job, Ledger, engine_names

_WARM, _TIMED = 3, 10  # optimiser steps


@dataclass(frozen=True)
class Forecast:
    """What is left to do.

    Attributes:
        jobs: that the audit consists of.
        new: those of them whose result is not in the ledger.
        steps: optimiser steps of the new jobs.
        seconds: estimate of the wall time.
        engine, workers, device: that the estimate is for.
    """

    jobs: int
    new: int
    steps: int
    seconds: float
    engine: str
    workers: int
    device: str

    def document(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def forecast(
    release: str | Path,
    target: Domain,
    *,
    protocol: str | Protocol = "quick",
    source: Domain | None = None,
    base: str | Path | None = None,
    budgets: Sequence[int] | None = None,
    attacks: Sequence[str] | None = None,
    controls: Sequence[str] | None = None,
    out: str | Path,
    ledger: str | Path | None = None,
    first_seed: int = 0,
    engine: str = "inline",
    workers: int = 1,
    device: str = "auto",
    data_root: str | Path | None = None,
) -> Forecast:
    """Count the jobs of the audit with these arguments, and time a few steps of its network here.

    Nothing is written. The estimate takes every attack to cost what fine-tuning does, and `workers`
    jobs at a time not to slow one another down.

    Raises:
        NtpruneError: as `audit` does before it begins.
    """
    if engine not in engine_names():
        raise UnknownNameError("engine", engine, engine_names())
    given = prepare(
        release,
        target,
        protocol=protocol,
        source=source,
        base=base,
        reduction=Reduction(budgets, attacks, controls, first_seed),
        data_root=data_root,
    )
    unclaimed(Path(out), given.plan)
    where = resolve_device(device)
    every = _jobs(given.plan, known := Ledger(ledger_folder(Path(out), ledger)))
    new = known.missing(every)
    together = 1 if engine == "inline" else workers
    times = _Times(given, where)
    seconds = [times.of(job) for job in new]
    # However many work together, the longest job has to be waited for.
    wall = max(sum(seconds) / together, max(seconds, default=0.0))
    return Forecast(
        jobs=len({job.id for job in every}),
        new=len(new),
        steps=sum(job.steps for job in new),
        seconds=round(wall, 1),
        engine=engine,
        workers=together,
        device=str(where),
    )


def _jobs(plan: Plan, ledger: Ledger) -> list[Job]:
    """All of them; those on a control that has not been made yet can only be new."""
    controls = plan.control_jobs()
    weights = {"release": plan.weights, "unprotected": plan.base}
    for name, job in controls.items():
        made = ledger.get(job)
        weights[name] = made["weights"] if made else f"to be made: {name}"
    points = [job for jobs in plan.point_jobs(weights).values() for job in jobs]
    return [*controls.values(), *points, *plan.single_jobs(weights).values()]


class _Times:
    """Seconds of an optimiser step for each size of batch, and of an evaluation, on one thread."""

    def __init__(self, given: Prepared, device: torch.device) -> None:
        self._plan = given.plan
        start = given.plan.release.model
        self._model = start.new_head(given.plan.classes, seed=0).to(device)
        self._pool = Resident.of(given.target.pool, start.preprocessing, device)
        test = Resident.of(given.target.test, start.preprocessing, device)
        self._labels = given.target.pool.labels
        self._steps: dict[int, float] = {}
        with threads(1):
            accuracy(self._model, test)
            self._evaluation = _seconds(lambda: accuracy(self._model, test))

    def of(self, job: Job) -> float:
        """Estimate for one job."""
        # A control trains on the source with the protocol's batch or a larger one.
        n = job.spec.get("n", self._plan.budgets[-1])
        return self._evaluation + job.steps * self._step(min(n, self._plan.protocol.recipe.batch))

    def _step(self, batch: int) -> float:
        if batch not in self._steps:
            samples = self._pool.take(subset(self._labels, batch, 0))
            run = partial(train, self._model, Batches(samples, batch, generator(0)), lr=1e-4)
            with threads(1):
                run(steps=_WARM)
                self._steps[batch] = _seconds(lambda: run(steps=_TIMED)) / _TIMED
        return self._steps[batch]


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start
