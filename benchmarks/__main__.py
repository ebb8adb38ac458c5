"""`python -m benchmarks --out results/benchmarks.json` (also `make bench`)."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from benchmarks import loop, memory, workers, wstep
from ntprune.engine import threads
from ntprune.experiments.common.machine import machine
from ntprune.release.atomic import write_file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks.json"))
    out = parser.parse_args().out
    document = {"command": "make bench", "machine": machine()}
    cores = torch.get_num_threads()
    for count in sorted({1, cores}):
        with threads(count):
            document[f"training_loop_{count}_threads"] = loop.measure()
            document[f"admm_w_step_{count}_threads"] = wstep.measure()
    document["memory"] = memory.measure()
    document["workers"] = workers.measure()
    text = json.dumps(document, indent=2)
    write_file(out, text.encode() + b"\n")
    print(text)


if __name__ == "__main__":
    main()
