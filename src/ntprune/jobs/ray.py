"""Jobs on a Ray cluster: plain tasks, without Ray's training or data libraries."""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from ntprune.engine import threads
from ntprune.engine.memory import keep_freed_memory
from ntprune.errors import AuditError, NtpruneError, SettingsError
from ntprune.jobs.attempt import DIED, TRIES, Outcome, attempt, settle
from ntprune.jobs.context import Context
from ntprune.jobs.engine import Engine
from ntprune.jobs.job import Job

_PATIENCE = 60.0  # seconds without a result after which the nodes are counted again
_AHEAD = 2  # jobs submitted for each that can run, so that no node waits for the driver


class Ray(Engine):
    """One CPU a job, and a share of a GPU where one is asked for.

    Args:
        workers: CPUs of a Ray that is started here; a cluster has its own.
        address: of a running cluster, `host:port` or `auto`; without it, Ray is started here.
        gpus_per_job: share of a GPU that each job books. Ray only counts shares: that jobs fit into
            the memory of a GPU together is up to the user.
    """

    name = "ray"

    def __init__(
        self, workers: int = 1, *, address: str | None = None, gpus_per_job: float = 0.0
    ) -> None:
        super().__init__(workers)
        if not 0 <= gpus_per_job <= 1:
            raise SettingsError(
                f"gpus-per-job {gpus_per_job:g} is outside 0 to 1: give the share of a GPU that "
                "one job books"
            )
        self.address = address
        self.gpus_per_job = gpus_per_job

    def device(self, asked: str) -> str:
        """The booked GPU, or the CPU if none is booked; the driver needs no GPU itself."""
        wanted = "cuda" if self.gpus_per_job else "cpu"
        if asked not in ("auto", wanted):
            raise SettingsError(
                f"device '{asked}' does not go with engine 'ray' and gpus-per-job "
                f"{self.gpus_per_job:g}, which computes on '{wanted}': change one of them"
            )
        return wanted

    def execute(self, jobs: Sequence[Job], context: Context) -> Iterator[tuple[Job, Outcome]]:
        """As they finish.

        Raises:
            NtpruneError: a user's mistake that a job ran into.
            AuditError: a node does not see the folders of the audit, or no node is left.
            SettingsError: Ray is not installed, there is no cluster at the address, it runs another
                version of Ray or Python, or none of its nodes has what a job books.
        """
        if not jobs:
            return
        with self._connected() as ray:
            if not self._slots(ray):
                booked = f"{self.gpus_per_job:g} GPU and " if self.gpus_per_job else ""
                raise SettingsError(
                    f"each job books {booked}one CPU, and no node has that: add a node that does, "
                    "or change --gpus-per-job"
                )
            # Ray runs a task again when its worker or its node dies, not when it raises.
            task = ray.remote(num_cpus=1, num_gpus=self.gpus_per_job, max_retries=TRIES - 1)(_task)
            todo = deque(jobs)
            under_way: dict[Any, Job] = {}
            try:
                while todo or under_way:
                    while todo and len(under_way) < max(1, _AHEAD * self._slots(ray)):
                        job = todo.popleft()
                        under_way[task.remote(job, context)] = job
                    finished, _ = ray.wait(list(under_way), num_returns=1, timeout=_PATIENCE)
                    if not finished and not self._slots(ray):
                        raise AuditError(
                            f"the last node that had what a job books is gone: {len(under_way)} "
                            "jobs wait for nothing; add a node and run the same command again, "
                            "which tries only what is missing"
                        )
                    for reference in finished:
                        yield under_way.pop(reference), settle(_said(ray, reference))
            finally:
                for reference in under_way:
                    ray.cancel(reference, force=True)

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        """Ray, connected; one that was connected before is used and left as it is."""
        # Nothing is reported to anybody.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            import ray
        except ImportError as error:
            raise SettingsError(
                "engine 'ray' needs Ray, which is not installed: pip install ray"
            ) from error
        if ray.is_initialized():
            yield ray
            return
        here = {"address": "local", "num_cpus": self.workers, "include_dashboard": False}
        options: dict[str, Any] = {"address": self.address} if self.address else here
        try:
            _knock(self.address)
            ray.init(**options, logging_level="error", log_to_driver=False)
        except (OSError, ValueError) as error:
            if self.address is None:
                raise
            raise SettingsError(
                f"no Ray cluster answers at '{self.address}' (host:port or auto was expected): "
                "start one with 'ray start --head', or leave --address out"
            ) from error
        except RuntimeError as error:
            if "version mismatch" not in str(error).lower():
                raise
            # Ray is half connected by then, and another try would find it so.
            ray.shutdown()
            raise SettingsError(
                f"the Ray cluster at '{self.address}' has other versions "
                f"({' '.join(str(error).split())}): install the same Ray and Python here as there"
            ) from error
        try:
            yield ray
        finally:
            ray.shutdown()

    def _slots(self, ray: Any) -> int:
        """How many jobs the cluster can run at a time now; nodes come and go."""
        alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        return sum(self._slots_of(found) for found in alive)

    def _slots_of(self, found: Mapping[str, float]) -> int:
        """The same of one node, since a job can't book its CPU here and its GPU there."""
        slots = int(found.get("CPU", 0))
        if self.gpus_per_job:
            slots = min(slots, int(found.get("GPU", 0) / self.gpus_per_job))
        return slots


def _knock(address: str | None) -> None:
    """Ray itself would try for minutes and then end the process."""
    if address not in (None, "auto"):
        host, _, port = str(address).rpartition(":")
        socket.create_connection((host.rpartition("/")[2], int(port)), timeout=5).close()


def _task(job: Job, context: Context) -> Outcome | NtpruneError:
    """What runs on a node."""
    places = [context.store, *context.releases.values()]
    unseen = [place for place in places if not place.is_dir()]
    if unseen:
        return AuditError(
            f"node {socket.gethostname()} does not see {unseen[0]}: put --out (or --ledger) and "
            "the releases into a folder that every node mounts at the same path"
        )
    keep_freed_memory()
    with threads(1):
        return attempt(job, context)


def _said(ray: Any, reference: Any) -> Outcome | NtpruneError:
    known = ray.exceptions
    try:
        said: Outcome | NtpruneError = ray.get(reference)
    except (known.WorkerCrashedError, known.NodeDiedError, known.OutOfMemoryError):
        return DIED
    except known.RayTaskError as error:
        # A job's own errors are handed back, so this one came before it.
        reason = " ".join(str(error.cause).split())[:300]
        return AuditError(
            f"a node cannot load jobs ({reason}): install the same ntprune there as here"
        )
    return said
