"""What the thief's search chooses, beside what the whole grid at full length would.

`python -m benchmarks.search RELEASE --target usps`

At each point every learning rate is also tried at the length of the final run, and its final run is
measured on other images of the pool. The record is what `tests/audit/test_search_recorded.py`
replays.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from dataclasses import astuple
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import ntprune
from ntprune.attacks import make_attack
from ntprune.audit.protocol import protocol
from ntprune.audit.search import Thief
from ntprune.audit.subsets import held_out, subset
from ntprune.engine import Resident, accuracy, threads
from ntprune.errors import TrainingDivergedError
from ntprune.experiments.common.machine import machine
from ntprune.release import load
from ntprune.release.atomic import write_file


def main() -> None:
    """Try, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("release", type=Path)
    parser.add_argument("--target", default="usps")
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--protocol", default="standard")
    parser.add_argument("--attacks", nargs="*", default=["scratch", "finetune-new-head", "masked"])
    parser.add_argument("--budgets", type=int, nargs="*", default=[24, 224, 2071])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("tests/audit/recorded/search.json"))
    given = parser.parse_args()
    release = load(given.release)
    target = ntprune.domain(given.target, given.data_root)
    recipe = protocol(given.protocol).recipe
    pool = Resident.of(target.pool, release.model.preprocessing, torch.device("cpu"))
    points: list[dict[str, Any]] = []
    for attack in given.attacks:
        for n in given.budgets:
            lengths = {"short": recipe.trial_steps(n), "full": recipe.steps(n)}
            for seed in range(given.seeds):
                thief = Thief(make_attack(attack), release, target.classes, recipe, seed)
                chosen = subset(target.pool.labels, n, seed)
                samples, others = pool.take(chosen), pool.take(_others(chosen, len(pool)))
                with threads(1):
                    tried = {
                        name: [astuple(t) for t in thief.attempt(samples, recipe.lrs, steps)]
                        for name, steps in lengths.items()
                    }
                    final = [[lr, _final(thief, samples, lr, others)] for lr in recipe.lrs]
                point = {
                    "attack": attack,
                    "n": n,
                    "seed": seed,
                    "held_out": held_out(n, recipe.validation_share),
                }
                points.append(point | tried | {"final": final})
                print(points[-1], file=sys.stderr, flush=True)
    document = {
        "command": shlex.join(["python", "-m", "benchmarks.search", *sys.argv[1:]]),
        "protocol": given.protocol,
        "release": release.card.weights_sha256,
        "usual": recipe.usual,
        "points": points,
        "machine": machine(),
    }
    write_file(given.out, json.dumps(document, indent=1).encode() + b"\n")


def _others(chosen: Tensor, size: int, count: int = 2000) -> Tensor:
    """Indices of images that the thief doesn't have."""
    free = torch.ones(size, dtype=torch.bool)
    free[chosen] = False
    return free.nonzero()[:count, 0]


def _final(thief: Thief, samples: Resident, lr: float, others: Resident) -> float:
    """Accuracy after the final run with `lr`; 0 where it diverges."""
    try:
        return accuracy(thief.train(samples, lr, thief.recipe.steps(len(samples))).model, others)
    except TrainingDivergedError:
        return 0.0


if __name__ == "__main__":
    main()
