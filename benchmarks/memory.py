"""A training step with memory kept for reuse against one without, each in fresh processes."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from typing import Any

import torch

from benchmarks.loop import make_data, make_model
from benchmarks.timing import seconds
from ntprune.engine import Batches, generator, train
from ntprune.engine.memory import keep_freed_memory

STEPS, BATCH = 100, 64


def measure(rounds: int = 5) -> dict[str, Any]:
    """Milliseconds of a step on one thread either way, and the median of the pairwise ratios."""
    pairs = [(_elsewhere("--keep"), _elsewhere()) for _ in range(rounds)]
    return {
        "batch": BATCH,
        "kept_ms_per_step": round(statistics.median(kept for kept, _ in pairs), 2),
        "default_ms_per_step": round(statistics.median(plain for _, plain in pairs), 2),
        "ratio": round(statistics.median(kept / plain for kept, plain in pairs), 3),
    }


def _elsewhere(*options: str) -> float:
    command = [sys.executable, "-m", "benchmarks.memory", *options]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Print the milliseconds of a step in this process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", action="store_true", help="keep freed memory for reuse")
    if parser.parse_args().keep:
        keep_freed_memory()
    torch.set_num_threads(1)
    model = make_model()
    batches = Batches(make_data(model), BATCH, generator(0, "bench"))
    train(model, batches, 10, lr=3e-3)
    print(1000 * seconds(lambda: train(model, batches, STEPS, lr=3e-3)) / STEPS)


if __name__ == "__main__":
    main()
