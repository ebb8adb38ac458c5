"""Jobs in spawned worker processes, one thread each."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence

from ntprune.errors import AuditError
from ntprune.jobs.attempt import DIED, TRIES, Outcome, settle
from ntprune.jobs.context import Context
from ntprune.jobs.engine import Engine
from ntprune.jobs.job import Job
from ntprune.jobs.worker import Died, Ready, Worker, listen


class Process(Engine):
    """Up to `workers` processes. One that dies is replaced, and its job is tried again."""

    name = "process"

    def execute(self, jobs: Sequence[Job], context: Context) -> Iterator[tuple[Job, Outcome]]:
        """As they finish.

        Raises:
            NtpruneError: a user's mistake that a job ran into.
            AuditError: workers die before they are ready.
        """
        todo = deque(jobs)
        tries: Counter[str] = Counter()
        stillborn = 0
        crew: set[Worker] = set()
        try:
            while todo or any(worker.job for worker in crew):
                self._staff(crew, todo, context)
                for worker, said in listen(crew):
                    job, worker.job = worker.job, None
                    if isinstance(said, Ready):
                        worker.ready, stillborn = True, 0
                    elif isinstance(said, Died):
                        crew.remove(worker)
                        Worker.stop([worker])
                        stillborn += not worker.ready
                        _refuse_hopeless(stillborn)
                        if job is not None:
                            tries[job.id] += 1
                            if tries[job.id] < TRIES:
                                todo.appendleft(job)
                            else:
                                yield job, DIED
                    elif job is not None:
                        yield job, settle(said)
        finally:
            Worker.stop(crew)

    def _staff(self, crew: set[Worker], todo: deque[Job], context: Context) -> None:
        """Give work to who is free, and start as many workers as there is work for."""
        for worker in crew:
            if todo and worker.ready and worker.job is None:
                job = todo.popleft()
                if not worker.give(job):
                    todo.appendleft(job)
        starting = sum(not worker.ready for worker in crew)
        for _ in range(min(self.workers - len(crew), len(todo) - starting)):
            crew.add(Worker(context))


def _refuse_hopeless(stillborn: int) -> None:
    if stillborn == TRIES:
        raise AuditError(
            f"worker processes died {TRIES} times before they could begin: give fewer --workers if "
            "memory is short; in a script of your own, call the audit below 'if __name__ == "
            '"__main__":\''
        )
