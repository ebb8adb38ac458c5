"""How jobs are run. An engine implements `execute`; the final call owns the ledger."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, final

from ntprune.engine import Progress, silent
from ntprune.errors import SettingsError
from ntprune.jobs.context import Context
from ntprune.jobs.job import Job
from ntprune.jobs.ledger import Ledger


class Engine(ABC):
    """Runs jobs that the ledger does not hold yet.

    On a CPU every job computes on one thread, whatever the engine: results then agree to the bit,
    and two one-thread jobs are faster than one job on two threads.

    Args:
        workers: jobs at a time, at least 1.
    """

    name: ClassVar[str]

    def __init__(self, workers: int = 1) -> None:
        if workers < 1:
            raise SettingsError(f"--workers {workers} is below 1: give how many jobs run at a time")
        self.workers = workers

    @final
    def __call__(
        self,
        jobs: Sequence[Job],
        context: Context,
        ledger: Ledger,
        *,
        stage: str = "jobs",
        progress: Progress = silent,
    ) -> list[dict[str, Any]]:
        """Run what is missing; return the results of all `jobs` in their order.

        Raises:
            AuditError: a worker died; what was finished is kept.
            NtpruneError: the first user's mistake that a job ran into.
        """
        missing = ledger.missing(list(jobs))
        total = len({job.id for job in jobs})
        done = total - len(missing)
        progress(stage, done, total)
        # Each result is recorded as it arrives: a killed driver loses only what was under way.
        for job, result in self.execute(missing, context):
            ledger.put(job, result)
            done += 1
            progress(stage, done, total)
        results = [ledger.get(job) for job in jobs]
        return [result for result in results if result is not None]

    @abstractmethod
    def execute(
        self, jobs: Sequence[Job], context: Context
    ) -> Iterator[tuple[Job, dict[str, Any]]]:
        """Yield (job, result) in any order as jobs finish."""
