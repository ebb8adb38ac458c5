"""Kill an audit at random moments, resume it, and compare bytes.

`python -m benchmarks.kills --times 50 --out results/kills.json` goes on where it was stopped.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.small_audit import BUDGETS, PROTOCOL, TARGET
from benchmarks.torn import SEED, Trial, record
from ntprune.domains import domain
from ntprune.methods import pretrain, protect

SOURCE = "optdigits"


def main() -> None:
    record("kills", __doc__, prepare, lambda one: one["whom"] in ("driver", "worker"))


def prepare(folder: Path) -> tuple[Trial, dict[str, Any]]:
    """Something to audit, and one audit that nobody kills."""
    release(folder)
    start = time.monotonic()
    finish(folder, folder / "whole")
    length, expected = time.monotonic() - start, content(folder / "whole")
    jobs = done(folder / "whole")
    return (lambda number: trial(folder, number, jobs, expected)), {
        "audit": f"{SOURCE} to {TARGET}, convnet of width 4 at 8×8, two workers",
        "protocol": PROTOCOL.model_dump(mode="json") | {"budgets": BUDGETS},
        "uninterrupted_seconds": round(length, 1),
        "jobs": jobs,
    }


def release(folder: Path) -> None:
    """Something to audit; what it is worth doesn't matter here."""
    source, target = domain(SOURCE), domain(TARGET)
    model = pretrain("convnet", source, width=4, epochs=1, size=8, seed=SEED, device="cpu")
    settings = {"sparsity": 0.5, "steps": 5, "batch": 32}
    protect(model, source, target, method="random", device="cpu", **settings).save(
        folder / "release"
    )


def trial(folder: Path, number: int, jobs: int, expected: dict[str, bytes]) -> dict[str, Any]:
    """One kill of the driver or of a worker somewhere in the audit, then on to the end."""
    draw = random.Random(f"{SEED}/{number}")
    out, whom = folder / f"torn-{number}", draw.choice(["driver", "worker"])
    # Counted in jobs, because the speed of a machine drifts; the start counts for a tenth.
    after = draw.randrange(-jobs // 10, jobs - 2)
    pause = draw.uniform(0, 8 if after <= 0 else 1)
    process = start_audit(folder, out)
    while process.poll() is None and done(out) < after:
        time.sleep(0.01)
    time.sleep(pause)
    found = {"whom": whom, "after_jobs": done(out), "pause_seconds": round(pause, 3)}
    victim = victim_of(process, whom, draw)
    if victim is None:
        found["whom"] = "nobody, it had ended"
    else:
        found["whom"] = "driver" if victim == process.pid else "worker"
        with suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
    code = process.wait()
    if code:
        finish(folder, out)
    same = content(out) == expected
    shutil.rmtree(out)
    return found | {"exit_code": code, "identical": same}


def done(out: Path) -> int:
    """Finished jobs."""
    return len(list((out / "jobs").glob("*.json")))


def start_audit(folder: Path, out: Path) -> subprocess.Popen[bytes]:
    """The audit in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.small_audit", str(folder / "release"), str(out)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def finish(folder: Path, out: Path) -> None:
    """The same command once more, to the end."""
    code = start_audit(folder, out).wait()
    if code:
        raise RuntimeError(f"the audit ended with exit code {code}")


def victim_of(driver: subprocess.Popen[bytes], whom: str, draw: random.Random) -> int | None:
    """Whom to kill: the driver if it has no worker, nobody if the audit is over already."""
    if driver.poll() is not None:
        return None
    children = Path(f"/proc/{driver.pid}/task/{driver.pid}/children").read_text().split()
    workers = [int(pid) for pid in children if b"spawn_main" in _command(pid)]
    return draw.choice(workers) if whom == "worker" and workers else driver.pid


def _command(pid: str) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def content(out: Path) -> dict[str, bytes]:
    """What must not differ: everything but the cost block."""
    report = json.loads((out / "report.json").read_bytes())
    del report["cost"]
    names = ("points.csv", "history.json", "audit.json")
    return {name: (out / name).read_bytes() for name in names} | {
        "report.json": json.dumps(report).encode()
    }


if __name__ == "__main__":
    main()
