"""`ray` against `process` on jobs of a few seconds: `python -m benchmarks.ray_overhead`.

Both are given two CPUs; what it takes to start them counts, which for Ray is some four seconds more
whatever the number of jobs, so there are about as many as in half of the smallest audit.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.timing import interleaved
from benchmarks.workers import Work, prepared
from ntprune.experiments.common.machine import machine
from ntprune.jobs import Ledger, make_engine
from ntprune.release.atomic import write_file

JOBS, ROUNDS = 32, 3


def measure() -> dict[str, Any]:
    """Median seconds of both and the ratio."""
    numbers = iter(range(10**6))

    def run(engine: str, work: Work, place: Path) -> float:
        ledger = Ledger(place / f"ledger-{next(numbers)}")
        make_engine(engine, 2)(work.jobs, work.context, ledger)
        return statistics.median(
            found["seconds"] for job in work.jobs if (found := ledger.get(job)) is not None
        )

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        work = prepared(place, JOBS)
        job = run("process", work, place)
        ray, process, ratio = interleaved(
            lambda: run("ray", work, place), lambda: run("process", work, place), ROUNDS
        )
    return {
        "jobs": JOBS,
        "rounds": ROUNDS,
        "seconds_per_job": round(job, 2),
        "ray_seconds": round(ray, 1),
        "process_seconds": round(process, 1),
        "ratio": round(ratio, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("results/ray_overhead.json"))
    out = parser.parse_args().out
    document = {
        "command": "python -m benchmarks.ray_overhead",
        "machine": machine(),
        "ray": version("ray"),
        "ray_overhead": measure(),
    }
    text = json.dumps(document, indent=2)
    write_file(out, text.encode() + b"\n")
    print(text)


if __name__ == "__main__":
    main()
