"""Kill a protection at random moments, resume it, and compare bytes.

`python -m benchmarks.kills_protect --times 50 --out results/kills_protect.json` goes on where it
was stopped.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.torn import SEED, Trial, record
from ntprune.domains import domain
from ntprune.methods import pretrain

SOURCE, TARGET = "optdigits", "blended:optdigits"
SETTINGS = {
    "max_source_drop": 100.0,
    "sparsity": 0.8,
    "rounds": 4,
    "inner": 10,
    "finish": 15,
    "checks": 3,
}


def main() -> None:
    record("kills_protect", __doc__, prepare, lambda one: len(one["killed_after"]))


def prepare(folder: Path) -> tuple[Trial, dict[str, Any]]:
    """A model to protect, and one protection that nobody kills."""
    base = pretrain("convnet", domain(SOURCE), width=4, epochs=1, seed=SEED, device="cpu")
    base.save(folder / "base")
    start = time.monotonic()
    finish(folder, folder / "whole")
    length, expected = time.monotonic() - start, content(folder / "whole")
    return (lambda number: trial(folder, number, length, expected)), {
        "protection": f"{SOURCE} against {TARGET}, convnet of width 4, one thread",
        "settings": SETTINGS,
        "uninterrupted_seconds": round(length, 1),
    }


def trial(folder: Path, number: int, length: float, expected: dict[str, bytes]) -> dict[str, Any]:
    """One to three kills anywhere in a run that takes `length` seconds, then on to the end."""
    draw = random.Random(f"{SEED}/{number}")
    out, killed, taken_up = folder / f"torn-{number}", [], 0
    for _ in range(draw.randint(1, 3)):
        moment = draw.uniform(0, length)
        process = start_protect(folder, out)
        try:
            process.communicate(timeout=moment)
            break  # the rest took less than that
        except subprocess.TimeoutExpired:
            process.kill()
            _, said = process.communicate()
            killed.append(round(moment, 2))
            taken_up += b"taken up again" in said
    if not out.exists():
        taken_up += b"taken up again" in finish(folder, out)
    same = content(out) == expected and not (folder / f"{out.name}.partial").exists()
    shutil.rmtree(out)
    return {"killed_after": killed, "taken_up_again": taken_up, "identical": same}


def start_protect(folder: Path, out: Path) -> subprocess.Popen[bytes]:
    """The protection in a process of its own."""
    settings = [part for item in SETTINGS.items() for part in ("--set", "{}={}".format(*item))]
    options = ["--target", TARGET, "--device", "cpu", "--out", str(out)]
    program = [sys.executable, "-m", "ntprune.cli.main", "protect", str(folder / "base")]
    return subprocess.Popen(
        [*program, *settings, *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def finish(folder: Path, out: Path) -> bytes:
    """The same command once more, to the end; what it said."""
    process = start_protect(folder, out)
    _, said = process.communicate()
    if process.returncode:
        raise RuntimeError(f"the protection ended with {process.returncode}: {said.decode()}")
    return said


def content(out: Path) -> dict[str, bytes]:
    """All files of a release."""
    return {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file()}


if __name__ == "__main__":
    main()
