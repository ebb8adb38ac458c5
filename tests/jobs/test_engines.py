"""Engines: the same results, nothing run twice, and what happens when processes die."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
from tests.jobs import work as works
from tests.jobs.work import work

from ntprune.errors import AuditError, SettingsError, UnknownNameError
from ntprune.jobs import Context, Failure, Ledger, engine_names, make_engine, process
from ntprune.jobs.engine import Engine

ENGINES = ["inline", "process"]


def place(tmp_path: Path) -> tuple[Context, Ledger]:
    return Context(tmp_path / "store", tmp_path / "marks"), Ledger(tmp_path / "jobs")


def runs(tmp_path: Path, value: int) -> list[int]:
    """Process ids of the runs of the job with `value`."""
    return works.runs(tmp_path / "marks", value)


def test_every_engine_is_tested() -> None:
    """`ray` in test_ray.py."""
    assert engine_names() == [*ENGINES, "ray"]


def test_unknown_engine_and_workers() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'process'"):
        make_engine("proces")
    with pytest.raises(SettingsError, match="workers 0 is below 1"):
        make_engine("process", 0)


@pytest.mark.parametrize("name", ENGINES)
def test_results_in_order_and_nothing_twice(tmp_path: Path, name: str) -> None:
    context, ledger = place(tmp_path)
    ledger.put(work("add", 2), {"value": "from before"})
    told: list[tuple[str, int, int]] = []

    def listen(stage: str, done: int, total: int, note: str = "") -> None:
        told.append((stage, done, total))

    jobs = [work("add", v) for v in (3, 1, 2, 3)]
    found = make_engine(name, 2)(jobs, context, ledger, stage="s", progress=listen)
    assert [result["value"] for result in found] == [3, 1, "from before", 3]
    assert {result.get("threads", 1) for result in found} == {1}
    assert [len(runs(tmp_path, v)) for v in (1, 2, 3)] == [1, 0, 1]
    assert told == [("s", 1, 3), ("s", 2, 3), ("s", 3, 3)]
    here = [pid == os.getpid() for v in (1, 3) for pid in runs(tmp_path, v)]
    assert here == [name == "inline"] * 2
    again = make_engine(name, 2)(jobs, context, ledger)
    assert again == found
    assert [len(runs(tmp_path, v)) for v in (1, 2, 3)] == [1, 0, 1]


@pytest.mark.parametrize("name", ENGINES)
def test_a_user_s_mistake_keeps_its_type_and_message(tmp_path: Path, name: str) -> None:
    context, ledger = place(tmp_path)
    with pytest.raises(SettingsError, match=r"^setting 7 is wrong: change it$"):
        make_engine(name)([work("add", 1), work("err", 7)], context, ledger)
    assert ledger.get(work("add", 1)) is not None
    assert ledger.get(work("err", 7)) is None


@pytest.mark.parametrize("name", ENGINES)
def test_a_job_that_fails_is_recorded_and_the_others_go_on(tmp_path: Path, name: str) -> None:
    context, ledger = place(tmp_path)
    kinds = ("break", "add", "diverge", "nan", "collapse")
    jobs = [work(kind, value) for value, kind in enumerate(kinds, start=1)]
    found = make_engine(name)(jobs, context, ledger)
    reasons = [outcome.reason for outcome in found if isinstance(outcome, Failure)]
    assert reasons[:2] == ["ZeroDivisionError: by nothing", "attack 3 diverged"]
    assert reasons[2].startswith("ValueError: Out of range float")
    assert reasons[3] == "control 5 would lose a layer"
    assert found[1] == ledger.get(jobs[1])
    assert ledger.missing(jobs) == [jobs[0], *jobs[2:]]
    record = json.loads((ledger.folder / f"{jobs[0].id}.failed.json").read_text())
    assert (record["spec"], record["reason"]) == (jobs[0].spec, reasons[0])
    assert "Traceback" in record["details"]
    (context.produced / "healed").touch()
    assert [outcome["value"] for outcome in make_engine(name)(jobs, context, ledger)] == [
        1,
        2,
        3,
        4,
        5,
    ]
    assert [len(runs(tmp_path, value)) for value in (1, 2, 3, 4, 5)] == [2, 1, 2, 2, 2]
    assert not list(ledger.folder.glob("*.failed.json"))


def test_a_dead_worker_costs_only_a_try_of_its_own_job(tmp_path: Path) -> None:
    context, ledger = place(tmp_path)
    jobs = [work("die", 1), work("die once", 2), *(work("add", value) for value in range(3, 9))]
    found = make_engine("process", 2)(jobs, context, ledger)
    assert found[0] == Failure("its worker died 3 times (out of memory, or killed)")
    assert [outcome["value"] for outcome in found[1:]] == list(range(2, 9))
    assert [len(runs(tmp_path, value)) for value in range(1, 9)] == [3, 2, 1, 1, 1, 1, 1, 1]
    assert ledger.missing(jobs) == jobs[:1]


def test_a_fault_of_a_gpu_costs_its_own_job_alone(tmp_path: Path) -> None:
    """The process it happened in can compute nothing any more."""
    context, ledger = place(tmp_path)
    jobs = [work("add", 1), work("fault", 2), work("add", 3)]
    found = make_engine("process", 1)(jobs, context, ledger)
    assert found[1] == Failure("RuntimeError: CUDA error: device-side assert triggered", ANY)
    before, fault, after = (runs(tmp_path, value) for value in (1, 2, 3))
    assert before == fault
    assert len(after) == 1
    assert after != fault


def test_workers_that_never_begin_end_the_audit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, ledger = place(tmp_path)

    class Stillborn:
        """A worker whose process is gone at once."""

        def __init__(self, context: Context) -> None:
            self.ready, self.job = False, None

        stop = staticmethod(lambda workers: None)

    monkeypatch.setattr(process, "Worker", Stillborn)
    monkeypatch.setattr(process, "listen", lambda crew: [(one, process.Died()) for one in [*crew]])
    with pytest.raises(AuditError, match=r"died 3 times before they could begin.*--workers"):
        make_engine("process")([work("add", 1)], context, ledger)


class Stopping(Engine):
    """An engine of the user's own that is interrupted after the first job."""

    name = "stopping"

    def execute(self, jobs: Any, context: Context) -> Iterator[tuple[Any, dict[str, Any]]]:
        yield jobs[0], jobs[0].run(context)
        raise KeyboardInterrupt


def test_results_are_recorded_as_they_arrive(tmp_path: Path) -> None:
    context, ledger = place(tmp_path)
    jobs = [work("add", 1), work("add", 2)]
    with pytest.raises(KeyboardInterrupt):
        Stopping()(jobs, context, ledger)
    assert ledger.missing(jobs) == jobs[1:]


DRIVER = """
import sys
from pathlib import Path
from tests.jobs.work import work
from ntprune.jobs import Context, Ledger, make_engine

if __name__ == "__main__":
    root = Path(sys.argv[1])
    jobs = [work("sleep", value) for value in (1, 2)]
    make_engine("process", 2)(jobs, Context(root / "store", root / "marks"), Ledger(root / "jobs"))
"""


def alive(pid: int) -> bool:
    """Whether the process runs; one that nobody has reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_orphaned_workers_leave(tmp_path: Path) -> None:
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    root = Path(__file__).parents[2]
    driver = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(root), *sys.path])},
        start_new_session=True,
    )
    try:
        workers = until(
            lambda: runs(tmp_path, 1) + runs(tmp_path, 2), lambda found: len(found) == 2
        )
        assert all(alive(pid) for pid in workers)
        os.kill(driver.pid, signal.SIGKILL)
        driver.wait()
        left = until(lambda: [pid for pid in workers if alive(pid)], lambda found: not found, 10)
        assert not left
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(driver.pid, signal.SIGKILL)
    assert not list((tmp_path / "jobs").glob("*")), "nothing was finished"


def until(look: Any, good: Any, seconds: float = 40) -> Any:
    """Look again and again until what is seen is good, or time is up."""
    end = time.monotonic() + seconds
    while not good(seen := look()) and time.monotonic() < end:
        time.sleep(0.1)
    return seen
