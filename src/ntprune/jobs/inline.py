"""Jobs one after the other in this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ntprune.engine import threads
from ntprune.jobs.attempt import Outcome, attempt, settle
from ntprune.jobs.context import Context
from ntprune.jobs.engine import Engine
from ntprune.jobs.job import Job


class Inline(Engine):
    """Runs here; `workers` is ignored."""

    name = "inline"

    def execute(self, jobs: Sequence[Job], context: Context) -> Iterator[tuple[Job, Outcome]]:
        """In the order given."""
        for job in jobs:
            with threads(1):
                said = attempt(job, context)
            yield job, settle(said)
