"""`ntprune audit`: what it would take, and what happens when it is stopped."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.cli.conftest import Typed
from tests.release.toys import files

AUDIT = "audit {place}/release --target npz:{place}/target.npz --device cpu --out {tmp}/out"


def test_a_dry_run_counts_and_writes_nothing(place: Path, tmp_path: Path, typed: Typed) -> None:
    command = AUDIT.format(place=place, tmp=tmp_path) + " --protocol tiny --engine inline"
    before = files(tmp_path)
    first = typed(*command.split(), "--dry-run", "--json")
    assert first.code == 0
    assert files(tmp_path) == before
    assert not (tmp_path / "out").exists()
    said = json.loads(first.out)
    assert said["new"] == said["jobs"]
    assert said["seconds"] > 0
    assert typed(*command.split()).code == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (report["cost"]["jobs"], report["cost"]["steps"]) == (said["jobs"], said["steps"])
    left = sorted((tmp_path / "out" / "jobs").glob("*.json"))[:3]
    for job in left:
        job.unlink()
    before = files(tmp_path)
    again = typed(*command.split(), "--dry-run")
    assert files(tmp_path) == before
    new, steps, estimate = again.out.splitlines()
    assert new.startswith(f"{said['jobs']} jobs, ")
    assert steps.endswith(" optimiser steps to take")
    assert "with engine inline, 1 at a time, on cpu" in estimate


def test_a_dry_run_refuses_what_the_audit_would(place: Path, tmp_path: Path, typed: Typed) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    ended = typed(*AUDIT.format(place=place, tmp=tmp_path).split(), "--dry-run")
    assert ended.code == 2
    assert "is not an audit" in ended.said[0]


def alive(group: int) -> list[int]:
    """Processes of the group that run; those that nobody has reaped don't."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, where = stat.read_text().rpartition(")")[2].split()[:3]
            if int(where) == group and state not in "ZX":
                found.append(int(stat.parent.name))
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_an_interrupt_says_how_far_it_was(place: Path, tmp_path: Path) -> None:
    command = AUDIT.format(place=place, tmp=tmp_path) + " --budgets 8,16 --workers 2"
    process = subprocess.Popen(
        [sys.executable, "-m", "ntprune.cli.main", *command.split()],
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
    )
    jobs = tmp_path / "out" / "jobs"
    end = time.monotonic() + 60
    while not list(jobs.glob("*.json")) and time.monotonic() < end:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in said
    last = said.splitlines()[-1]
    assert re.match(r"ntprune: stopped with (controls \d/2|attacks \d+/\d+) done, ", last)
    assert last.endswith("nothing half-written left; run it again, audits and protections go on")
    while alive(process.pid) and time.monotonic() < end:
        time.sleep(0.05)
    assert not alive(process.pid)
    assert not [path for path in jobs.rglob("*") if path.name.startswith(".")]
