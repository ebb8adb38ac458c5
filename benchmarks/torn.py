"""Trials in which work is killed and taken up again, recorded one after the other."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ntprune.experiments.common.machine import machine
from ntprune.release.atomic import write_file

SEED = 0
Trial = Callable[[int], dict[str, Any]]


def record(
    module: str,
    description: str | None,
    prepare: Callable[[Path], tuple[Trial, dict[str, Any]]],
    kills: Callable[[dict[str, Any]], int],
) -> None:
    """Make the trials that are missing, and exit with 1 if one ended otherwise than unkilled work.

    Args:
        module: of the benchmark; the record is `results/<module>.json` unless told otherwise.
        description: for `--help`.
        prepare: sets up a folder; returns what makes the trial of a number, with `identical` in its
            result, and what is to be recorded of the work.
        kills: how many a trial's result has.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--out", type=Path, default=Path(f"results/{module}.json"))
    arguments = parser.parse_args()
    out: Path = arguments.out
    command = f"python -m benchmarks.{module} --times {arguments.times} --out {out}"
    trials = json.loads(out.read_bytes())["trials"] if out.exists() else []
    with tempfile.TemporaryDirectory(prefix="ntprune-kills-") as folder:
        trial, about = prepare(Path(folder))
        for number in range(len(trials), arguments.times):
            trials.append(trial(number))
            document = {
                "command": command,
                **about,
                "seed": SEED,
                "kills": sum(map(kills, trials)),
                "identical": sum(one["identical"] for one in trials),
                "trials": trials,
                "machine": machine(),
            }
            write_file(out, json.dumps(document, indent=1).encode() + b"\n")
            print(number, trials[-1], flush=True)
    sys.exit(0 if all(one["identical"] for one in trials) else 1)
