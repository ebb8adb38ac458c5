"""What an audit will take: its jobs and steps, counted, and its time, estimated."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch

from ntprune.audit.effort import effort
from ntprune.audit.plan import Plan
from ntprune.audit.prepare import Prepared, ledger_folder, unclaimed
from ntprune.engine import Batches, Resident, accuracy, generator, resolve_device, threads, train
from ntprune.errors import SettingsError
from ntprune.jobs import Engine, Job, Ledger

# Timing one size of batch ends after so many steps or, beyond the first, so many seconds.
_STEPS, _SECONDS = 10, 0.5
_LOOKS = 500  # images


@dataclass(frozen=True)
class Forecast:
    """What is left to do.

    Attributes:
        jobs: that the audit consists of.
        new: those of them whose result is not in the ledger.
        steps: the most optimiser steps that the new jobs take.
        seconds: estimate of the wall time.
        engine, workers: that the estimate is for.
        device: on which a step was timed; the CPU where only the engine's nodes have the jobs' own.
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
    given: Prepared,
    out: str | Path,
    *,
    engine: Engine,
    ledger: str | Path | None = None,
    device: str = "auto",
) -> Forecast:
    """Count the jobs of a prepared audit, and time a few steps of its network here.

    Nothing is written. A step is timed with every size of batch that occurs, for half a second at
    most where a step takes less. The estimate takes every attack to cost what fine-tuning does, and
    jobs not to slow one another down.

    Args:
        given: what `prepare` returned.
        out, ledger, device: as for `audit`.
        engine: that will run the jobs.

    Raises:
        NtpruneError: as `audit` does before it begins.
    """
    wanted = engine.device(device)  # refuses what the audit would
    unclaimed(Path(out), given.plan)
    try:
        where = resolve_device(wanted)
    except SettingsError:  # nodes of a cluster have what the driver lacks
        where = resolve_device("cpu")
    every = _jobs(given.plan, known := Ledger(ledger_folder(Path(out), ledger)))
    new = known.missing(every)
    speed = Speed(given, where)
    seconds = [speed.of(job) for job in new]
    # However many work together, the longest job has to be waited for.
    wall = max(sum(seconds) / engine.workers, max(seconds, default=0.0))
    return Forecast(
        jobs=len({job.id for job in every}),
        new=len(new),
        steps=sum(job.steps for job in new),
        seconds=round(wall, 1),
        engine=engine.name,
        workers=engine.workers,
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


class Speed:
    """How fast this machine runs the network of an audit, on one thread.

    Args:
        given: the audit.
        device: where to compute.
    """

    def __init__(self, given: Prepared, device: torch.device) -> None:
        self._given = given
        self._device = device
        start = given.plan.release.model
        self._model = start.new_head(given.plan.classes, seed=0).to(device)
        self._model.module.requires_grad_(True)  # what the owner has frozen, a thief has not
        self._known: dict[int, float] = {}

    def of(self, job: Job) -> float:
        """Estimated seconds of one job."""
        work = effort(job, self._given)
        steps = sum(count * self.step(batch) for batch, count in work.steps.items())
        return steps + work.looks * self.look

    def step(self, batch: int) -> float:
        """Seconds of an optimiser step on so many images."""
        if batch not in self._known:
            data = self._images(batch)
            run = partial(train, self._model, Batches(data, batch, generator(0)), lr=1e-4)
            with threads(1):
                run(steps=1)
                first = _seconds(partial(run, steps=1))
                count = max(1, min(_STEPS, int(_SECONDS / first)))
                self._known[batch] = _seconds(partial(run, steps=count)) / count
        return self._known[batch]

    @cached_property
    def look(self) -> float:
        """Seconds of classifying one image."""
        data = self._images(min(_LOOKS, len(self._given.target.pool)))
        with threads(1):
            accuracy(self._model, data)
            return _seconds(partial(accuracy, self._model, data)) / len(data)

    def _images(self, count: int) -> Resident:
        """So many images of the pool, some of them more than once if there are fewer.

        Never of the test split, which nothing but the points of an audit may read.
        """
        pool = self._given.target.pool
        some = pool.take(torch.arange(count) % len(pool))
        return Resident.of(some, self._model.preprocessing, self._device)


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start
