"""What the benchmark of workers compares, with a clock of its own and no work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import workers


def test_two_process_workers_against_one(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int]] = []
    ledgers: list[Path] = []

    def make_engine(name: str, count: int) -> Callable[..., None]:
        asked.append((name, count))
        return lambda jobs, context, ledger: ledgers.append(ledger.folder)

    def seconds(job: Callable[[], object]) -> float:
        job()
        return 60.0 / asked[-1][1] ** 0.5

    monkeypatch.setattr(workers, "make_engine", make_engine)
    monkeypatch.setattr(workers, "seconds", seconds)
    nothing: Any = SimpleNamespace(jobs=[], context=None)
    monkeypatch.setattr(workers, "prepared", lambda place, jobs: nothing)
    found = workers.measure()
    assert set(asked) == {("process", 2), ("process", 1)}
    assert len(set(ledgers)) == len(ledgers) == 2 * workers.ROUNDS
    assert found["process_1_jobs_per_minute"] == workers.JOBS
    assert found["process_2_jobs_per_minute"] == pytest.approx(workers.JOBS * 2**0.5, abs=0.05)
    assert found["ratio"] == pytest.approx(2**0.5, abs=1e-3)
