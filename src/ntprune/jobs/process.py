"""Jobs in spawned worker processes, one thread each."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait as wait_for
from typing import Any

from ntprune.errors import AuditError
from ntprune.jobs.context import Context
from ntprune.jobs.engine import Engine
from ntprune.jobs.job import Job


class Process(Engine):
    """A pool of `workers` processes started by spawn, so that CUDA and threads are safe."""

    name = "process"

    def execute(
        self, jobs: Sequence[Job], context: Context
    ) -> Iterator[tuple[Job, dict[str, Any]]]:
        """As they finish."""
        if not jobs:
            return
        pool = ProcessPoolExecutor(
            min(self.workers, len(jobs)),
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_start_worker,
        )
        try:
            pending: dict[Future[dict[str, Any]], Job] = {
                pool.submit(job.run, context): job for job in jobs
            }
            while pending:
                finished, _ = wait(pending, return_when=FIRST_COMPLETED)
                for future in successes_first(finished):
                    yield pending.pop(future), future.result()
        except BrokenProcessPool as error:
            raise AuditError(
                "a worker process died (out of memory, or killed): what was finished is kept; run "
                "the same command again to go on, with fewer --workers if memory was short"
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def successes_first(finished: Iterable[Future[Any]]) -> list[Future[Any]]:
    """Finished futures in the order in which nothing that was done is lost to an error."""
    return sorted(finished, key=lambda future: future.exception() is not None)


def _start_worker() -> None:
    import torch

    torch.set_num_threads(1)
    parent = multiprocessing.parent_process()
    if parent is not None:
        # A driver that is killed outright can't stop its workers; they notice and leave.
        threading.Thread(target=_leave_with, args=(parent.sentinel,), daemon=True).start()


def _leave_with(sentinel: int) -> None:
    wait_for([sentinel])
    os._exit(1)
