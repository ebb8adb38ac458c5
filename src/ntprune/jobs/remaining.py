"""How long the jobs that are left will take, judged by those that are finished."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable

from ntprune.jobs.job import Job


class Remaining:
    """Counts optimiser steps, not jobs: large budgets take longer and come first.

    Args:
        jobs: that are to be run.
    """

    def __init__(self, jobs: Iterable[Job]) -> None:
        self._left = sum(map(_weight, jobs))
        self._done = 0
        self._start = time.monotonic()

    def finished(self, job: Job) -> str:
        """Note that `job` is done; returns a phrase such as `about 3 min left`."""
        self._left -= _weight(job)
        self._done += _weight(job)
        if not self._left:
            return ""
        elapsed = time.monotonic() - self._start
        return f"about {span(elapsed * self._left / self._done)} left"


def span(seconds: float) -> str:
    """A time for people, rounded up: `40 s`, `3 min`, `2 h 5 min`."""
    if seconds <= 59:
        return f"{max(1, math.ceil(seconds))} s"
    minutes = math.ceil(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def _weight(job: Job) -> int:
    # A job without a step still loads and evaluates.
    return job.steps + 1
