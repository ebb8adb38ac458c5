"""Jobs one after the other in this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ntprune.engine import threads
from ntprune.jobs.attempt import Outcome, attempt, settle
from ntprune.jobs.context import Context
from ntprune.jobs.engine import Engine
from ntprune.jobs.job import Job


class Inline(Engine):
    """Runs here; one at a time, whatever `workers` says."""

    name = "inline"

    def __init__(self, workers: int = 1) -> None:
        super().__init__(workers)
        self.workers = 1

    def execute(self, jobs: Sequence[Job], context: Context) -> Iterator[tuple[Job, Outcome]]:
        """In the order given."""
        for job in jobs:
            with threads(1):
                said = attempt(job, context)
            yield job, settle(said)
