"""An audit that is killed again and again ends with the bytes of one that never was."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from tests.release.toys import arrays

from ntprune.audit import audit
from ntprune.domains import domain
from ntprune.methods import pretrain, protect
from ntprune.release.atomic import sha256

KILLS = 2
ATTACKS, CONTROLS = ("finetune-new-head",), ("unprotected", "magnitude")


def small(path: Path, seed: int, classes: int) -> str:
    """Images of 8×8 pixels, every second one of the toys' pixels."""
    images, labels = arrays(seed, 200, classes=classes)
    np.savez(path, images=images[:, ::2, ::2], labels=labels)
    return f"npz:{path}"


def start(folder: Path, out: Path) -> subprocess.Popen[bytes]:
    """`ntprune audit` in a session of its own, so that its workers can be killed with it."""
    options = "--budgets 8,16 --protocol quick/1 --engine process --workers 2 --device cpu"
    options += f" --attacks {','.join(ATTACKS)} --controls {','.join(CONTROLS)}"
    places = ["--target", f"npz:{folder}/target.npz", "--out", str(out)]
    return subprocess.Popen(
        [sys.executable, "-m", "ntprune.cli.main", "audit", str(folder / "release"), *places]
        + options.split(),
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def finished(out: Path) -> dict[str, tuple[int, str]]:
    """When each job's file was written, and its hash."""
    jobs = (out / "jobs").glob("*.json")
    return {job.name: (job.stat().st_mtime_ns, sha256(job)) for job in jobs}


def report(out: Path) -> str:
    """`report.json` byte by byte, up to what it took."""
    text = (out / "report.json").read_text()
    assert set(json.loads(text)["cost"]) == {"jobs", "reused", "steps", "seconds"}
    head, found, tail = text.partition('\n  "cost": {')
    assert found
    assert tail.count("}") == 2, "cost is the last block"
    return head


def results(out: Path) -> dict[str, Any]:
    """What every job found, without how long it took."""
    found = {}
    for job in (out / "jobs").glob("*.json"):
        document = json.loads(job.read_text())
        del document["result"]["seconds"]
        found[job.name] = document
    return found


def test_killed_at_any_moment(tmp_path: Path) -> None:
    source = domain(small(tmp_path / "source.npz", 0, 4))
    # Other classes: attacks that keep the head are left out, which makes the audit shorter.
    target = domain(small(tmp_path / "target.npz", 1, 3))
    base = pretrain("convnet", source, width=4, epochs=2, batch=32, device="cpu")
    settings = {"sparsity": 0.5, "steps": 5, "batch": 32}
    release = protect(base, source, target, method="random", device="cpu", **settings)
    release.save(tmp_path / "release")
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    audit(
        tmp_path / "release",
        target,
        protocol="quick/1",
        budgets=[8, 16],
        attacks=ATTACKS,
        controls=CONTROLS,
        out=whole,
        engine="inline",
        device="cpu",
    )
    every = finished(whole)
    moments = random.Random(0)
    # The first falls into the start, the others behind a number of new results.
    for stop in (None, *(moments.randint(1, len(every) // KILLS) for _ in range(KILLS - 1))):
        before = finished(torn)
        process = start(tmp_path, torn)
        try:
            if stop is None:
                time.sleep(moments.uniform(0.5, 3.0))
            else:
                wait_for(process, torn, len(before) + stop)
                time.sleep(moments.uniform(0, 0.05))
        finally:
            kill(process)
        assert not (torn / "report.json").exists()
        after = finished(torn)
        assert {name: after.get(name) for name in before} == before
        assert all(json.loads((torn / "jobs" / name).read_text()) for name in after)
    before = finished(torn)
    assert KILLS - 1 <= len(before) < len(every)
    process = start(tmp_path, torn)
    try:
        if Path("/proc/self/stat").exists():
            wait_for(process, torn, len(before) + 1)
            # A worker alone is replaced: nobody has to type anything.
            os.kill(a_worker(process), signal.SIGKILL)
        _, said = process.communicate(timeout=80)
    finally:
        kill(process)
    assert process.returncode == 0, said.decode()
    after = finished(torn)
    assert {name: after[name] for name in before} == before
    assert set(after) == set(every)
    assert results(torn) == results(whole)
    assert report(torn) == report(whole)
    for name in ("points.csv", "history.json", "audit.json"):
        assert (torn / name).read_bytes() == (whole / name).read_bytes()


def a_worker(process: subprocess.Popen[bytes]) -> int:
    """One of its worker processes; waits until there is one."""
    while process.poll() is None:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        for child in children:
            with contextlib.suppress(OSError):
                if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                    return int(child)
        time.sleep(0.02)
    raise AssertionError("the audit ended before its worker was killed")


def wait_for(process: subprocess.Popen[bytes], out: Path, count: int) -> None:
    """Until there are `count` results."""
    end = time.monotonic() + 60
    while len(finished(out)) < count:
        assert process.poll() is None, "the audit ended before it was killed"
        assert time.monotonic() < end
        time.sleep(0.02)
