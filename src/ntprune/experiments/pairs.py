"""Pretrain, protect and audit on named pairs of domains, and record what came out.

`python -m ntprune.experiments.pairs --out runs --results results/pairs [PAIR ...]`

Every stage is the command a user would type. A pair whose stages are done is not run again; an
audit that was stopped is taken up where it was.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ntprune.experiments.machine import machine
from ntprune.experiments.summary import summarise
from ntprune.release.atomic import write_file

# A stated reduction of the protocol where two cores force one.
_FEW = {"budgets": "8,64,512"}
_CIFAR = "npz:cifar10_subset.npz[{}]"


@dataclass(frozen=True)
class Pair:
    """A source, a target, and how the model is pretrained and audited.

    Protection has the same settings on every pair, chosen on validation data of `mnist-usps`, but
    for what `protect` names.
    """

    source: str
    target: str
    pretrain: dict[str, Any] = field(default_factory=dict)
    audit: dict[str, Any] = field(default_factory=dict)
    protect: dict[str, Any] = field(default_factory=dict)


PAIRS = {
    "mnist-usps": Pair("mnist", "usps", {"epochs": 4}),
    "usps-mnist": Pair("usps", "mnist", {"epochs": 20}, _FEW),
    "syndigits-blended": Pair("syndigits", "blended:syndigits", {"epochs": 20}, _FEW),
    "cifar5-cifar5": Pair(
        _CIFAR.format("airplane,automobile,bird,cat,deer"),
        _CIFAR.format("dog,frog,horse,ship,truck"),
        {"epochs": 30},
        _FEW,
        # At .96 no checkpoint kept the accuracy: the best lost 2.83 points.
        {"sparsity": 0.7},
    ),
}
# A quarter of the point that may be lost is left for what validation cannot foresee of the test.
PROTECT: dict[str, Any] = {"sparsity": 0.96, "max-source-drop": 0.75}


def main() -> None:
    """Run the pairs named on the command line, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pairs", nargs="*", default=list(PAIRS), metavar="PAIR")
    parser.add_argument("--out", type=Path, default=Path("runs"))
    parser.add_argument("--results", type=Path, default=Path("results/pairs"))
    arguments = parser.parse_args()
    for name in arguments.pairs:
        run(name, arguments.out / name, arguments.results / name)
        write_file(arguments.results / "summary.md", summarise(arguments.results).encode())


def run(name: str, out: Path, results: Path) -> None:
    """One pair: work below `out`, the record to `results`."""
    pair = PAIRS[name]
    out.mkdir(parents=True, exist_ok=True)
    base, release, audit = out / "base", out / "release", out / "audit"
    stages = {
        "pretrain": ["pretrain", "--source", pair.source, "--model", "convnet", "--size", "16"]
        + _options(pair.pretrain)
        + ["--out", str(base)],
        "protect": ["protect", str(base), "--target", pair.target]
        + _options(PROTECT | pair.protect)
        + ["--out", str(release)],
        "audit": ["audit", str(release), "--target", pair.target, "--out", str(audit)]
        + _options(pair.audit)
        + ["--ledger", str(out / "jobs"), "--engine", "process", "--workers", "2"],
        "report": ["report", str(audit), "--out", str(out / "report.html")],
    }
    finished = {"pretrain": base, "protect": release, "audit": audit / "report.json"}
    for stage, command in stages.items():
        if not finished.get(stage, Path()).exists() or stage == "report":
            _stage(stage, command, out)
    _record(name, out, results)


def _stage(stage: str, command: list[str], out: Path) -> None:
    """Run one command and note its time and the peak memory of its largest process."""
    start = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "ntprune.cli.main", *command])
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{stage} failed: ntprune {shlex.join(command)}")
    note = {
        "command": f"ntprune {shlex.join(command)}",
        "seconds": round(time.monotonic() - start, 1),
        "peak_memory_mb": round(usage.ru_maxrss / 1024),
    }
    write_file(out / f"{stage}.json", json.dumps(note, indent=1).encode())


def _record(name: str, out: Path, results: Path) -> None:
    results.mkdir(parents=True, exist_ok=True)
    for file in ("report.json", "points.csv", "history.json"):
        shutil.copy(out / "audit" / file, results / file)
    shutil.copy(out / "release" / "card.json", results / "card.json")
    stages = {
        stage: json.loads((out / f"{stage}.json").read_text())
        for stage in ("pretrain", "protect", "audit")
    }
    document = {"pair": name, "machine": machine(), "stages": stages}
    write_file(results / "run.json", json.dumps(document, indent=1).encode() + b"\n")


def _options(values: dict[str, Any]) -> list[str]:
    return [part for name, value in values.items() for part in (f"--{name}", str(value))]


if __name__ == "__main__":
    main()
