"""One spawned process that runs one job at a time, and tells when it died."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for

from ntprune.errors import AuditError, NtpruneError
from ntprune.jobs.attempt import Outcome, attempt, spoils_process
from ntprune.jobs.context import Context
from ntprune.jobs.job import Job

_GRACE = 5.0  # seconds in which a worker that was asked to stop tidies up


class Ready:
    """A worker's first word."""


class Died:
    """What is heard of a worker whose process ended."""


Said = Outcome | NtpruneError | Ready | Died


class Worker:
    """Started by spawn, so that CUDA and threads are safe; computes on one thread.

    Raises:
        AuditError: the system has no room for another process.

    Attributes:
        ready: whether it can be given a job.
        job: what it works on.
    """

    def __init__(self, context: Context) -> None:
        spawn = multiprocessing.get_context("spawn")
        try:
            self._pipe, theirs = spawn.Pipe()
            self._process = spawn.Process(target=_serve, args=(theirs, context), daemon=True)
            with _deaf_to_interrupts():
                self._process.start()
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise AuditError(
                f"no further worker can be started ({reason}): give fewer --workers"
            ) from error
        # With this copy closed, the pipe ends when the process does.
        theirs.close()
        self.ready = False
        self.job: Job | None = None

    def give(self, job: Job) -> bool:
        """Hand over `job`; false if the process is no longer there."""
        try:
            self._pipe.send(job)
        except OSError:
            return False
        self.job = job
        return True

    def hear(self) -> Said:
        """The next word; waits for it."""
        try:
            said: Said = self._pipe.recv()
        except (EOFError, OSError):
            return Died()
        return said

    @staticmethod
    def stop(workers: Iterable[Worker]) -> None:
        """End all, whatever they are doing; returns when they are gone."""
        crew = list(workers)
        for worker in crew:
            worker._process.terminate()
        for worker in crew:
            worker._process.join(_GRACE)
            if worker._process.is_alive():
                worker._process.kill()
                worker._process.join()
            worker._pipe.close()


def listen(workers: Iterable[Worker]) -> list[tuple[Worker, Said]]:
    """Wait until something is heard; mistakes last, so that nothing that was done is lost."""
    by_pipe = {id(worker._pipe): worker for worker in workers}
    pipes = wait_for([worker._pipe for worker in by_pipe.values()])
    words = [(by_pipe[id(pipe)], by_pipe[id(pipe)].hear()) for pipe in pipes]
    return sorted(words, key=lambda word: isinstance(word[1], NtpruneError))


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """A process started in here never hears Ctrl-C: its driver does, and tells it to stop."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # Started with the first process otherwise, and makes its starter hear again.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(pipe: Connection, context: Context) -> None:
    import torch

    from ntprune.engine.memory import keep_freed_memory

    # Leaving by an exception removes drafts that are being written.
    signal.signal(signal.SIGTERM, _leave)
    torch.set_num_threads(1)
    keep_freed_memory()
    parent = multiprocessing.parent_process()
    if parent is not None:
        # A driver that is killed outright can't stop its workers; they notice and leave.
        threading.Thread(target=_leave_with, args=(parent.sentinel,), daemon=True).start()
    pipe.send(Ready())
    while True:
        try:
            job: Job = pipe.recv()
        except EOFError:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            return
        said = attempt(job, context)
        pipe.send(said)
        if spoils_process(said):
            return  # another one takes its place


def _leave(*_: object) -> None:
    # A second word would be heard in the middle of what Python tidies up, and cost a traceback.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(1)


def _leave_with(sentinel: int) -> None:
    wait_for([sentinel])
    os._exit(1)
