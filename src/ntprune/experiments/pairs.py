"""Pretrain, protect and audit on named pairs of domains, and record what came out.

`python -m ntprune.experiments.pairs --out runs --results results/pairs [PAIR ...]`

Every stage is the command a user would type. A pair whose stages are done is not run again; an
audit that was stopped is taken up where it was.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

from ntprune.errors import NtpruneError
from ntprune.experiments.named_pairs import (
    PAIRS,
    named_pair,
    options,
    pretrain_command,
    protect_command,
)
from ntprune.experiments.recorded import record
from ntprune.experiments.stages import Command, run_stage, typed
from ntprune.experiments.summary import summarise
from ntprune.release.atomic import write_file

ENGINE = ["--engine", "process", "--workers", "2"]


def main() -> None:
    """Run the pairs named on the command line, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pairs", nargs="*", default=list(PAIRS), metavar="PAIR")
    parser.add_argument("--out", type=Path, default=Path("runs"))
    parser.add_argument("--results", type=Path, default=Path("results/pairs"))
    arguments = parser.parse_args()
    for name in arguments.pairs:
        try:
            run(name, arguments.out / name, arguments.results / name)
        except NtpruneError as error:
            raise SystemExit(f"{name}: {error}") from error
        write_file(arguments.results / "summary.md", summarise(arguments.results).encode())


def run(name: str, out: Path, results: Path, command: Command = typed) -> None:
    """One pair: work below `out`, the record to `results`."""
    pair = named_pair(name)
    base, release, audit = out / "base", out / "release", out / "audit"
    stages = {
        "pretrain": pretrain_command(pair, str(base)),
        "protect": protect_command(pair, str(base), str(release), pair.settings),
        "audit": ["audit", str(release), "--target", pair.target, "--out", str(audit)]
        + options(pair.audit)
        + ["--ledger", str(out / "jobs"), *ENGINE],
        "report": ["report", str(audit), "--out", str(out / "report.html")],
    }
    finished = {"pretrain": base, "protect": release, "audit": audit / "report.json"}
    say = partial(print, file=sys.stderr, flush=True)
    for stage, arguments in stages.items():
        if stage == "report" or not finished[stage].exists():
            run_stage(stage, arguments, out, say=say, command=command)
    record(name, release, audit, {stage: (out, stage) for stage in finished}, results)


if __name__ == "__main__":
    main()
