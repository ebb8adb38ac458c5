"""How jobs are run. An engine implements `execute`; the final call owns the ledger."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import ClassVar, final

from ntprune.engine import Progress, resolve_device, silent
from ntprune.errors import SettingsError
from ntprune.jobs.attempt import Failure, Outcome
from ntprune.jobs.context import Context
from ntprune.jobs.job import Job
from ntprune.jobs.ledger import Ledger
from ntprune.jobs.remaining import Remaining


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
            raise SettingsError(f"workers {workers} is below 1: give how many jobs run at a time")
        self.workers = workers

    def device(self, asked: str) -> str:
        """Where its jobs compute if the user asked for `asked`.

        Raises:
            SettingsError: they can't compute there.
        """
        return str(resolve_device(asked))

    @final
    def __call__(
        self,
        jobs: Sequence[Job],
        context: Context,
        ledger: Ledger,
        *,
        stage: str = "jobs",
        progress: Progress = silent,
    ) -> list[Outcome]:
        """Run what is missing; return the outcomes of all `jobs` in their order.

        A job that fails is recorded as failed and the others go on; it is tried again by the next
        call that wants it.

        Raises:
            NtpruneError: the first user's mistake that a job ran into; what was finished is kept.
        """
        missing = ledger.missing(list(jobs))
        total = len({job.id for job in jobs})
        done = total - len(missing)
        failures: dict[str, Failure] = {}
        remaining = Remaining(missing)
        progress(stage, done, total)
        # Each outcome is recorded as it arrives: a killed driver loses only what was under way.
        for job, outcome in self.execute(missing, context):
            if isinstance(outcome, Failure):
                ledger.fail(job, outcome)
                failures[job.id] = outcome
            else:
                ledger.put(job, outcome)
            done += 1
            progress(stage, done, total, remaining.finished(job))
        outcomes = [failures.get(job.id) or ledger.get(job) for job in jobs]
        return [outcome for outcome in outcomes if outcome is not None]

    @abstractmethod
    def execute(self, jobs: Sequence[Job], context: Context) -> Iterator[tuple[Job, Outcome]]:
        """Yield (job, outcome) in any order as jobs finish.

        Raises:
            NtpruneError: a user's mistake that a job ran into.
        """
