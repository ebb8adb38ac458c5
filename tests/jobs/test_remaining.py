"""Remaining time, counted in optimiser steps."""

from __future__ import annotations

import pytest

from ntprune.jobs import Job, remaining
from ntprune.jobs.remaining import Remaining, span


def test_steps_count_not_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter((100.0, 190.0, 200.0))
    monkeypatch.setattr(remaining.time, "monotonic", lambda: next(clock))
    long, short = Job("ntprune.x:y", {}, steps=899), Job("ntprune.x:z", {}, steps=99)
    left = Remaining([long, short, short])
    assert left.finished(long) == "about 20 s left"
    assert left.finished(short) == "about 10 s left"
    assert left.finished(short) == ""


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "1 s"), (59.2, "1 min"), (61, "2 min"), (7500, "2 h 5 min")]
)
def test_span(seconds: float, said: str) -> None:
    assert span(seconds) == said


def test_steps_are_no_part_of_a_job() -> None:
    assert Job("ntprune.x:y", {}, steps=5) == Job("ntprune.x:y", {})
    assert Job("ntprune.x:y", {}, steps=5).id == Job("ntprune.x:y", {}).id
