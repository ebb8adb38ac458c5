"""What successive halving chooses, beside what the whole grid at full length would.

`python -m benchmarks.halving RELEASE --target usps`

At each point every learning rate is also tried at the length of the final run. The record is what
`tests/audit/test_halving.py` replays.
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

import ntprune
from ntprune.attacks import make_attack
from ntprune.audit.protocol import protocol
from ntprune.audit.search import Thief
from ntprune.audit.subsets import held_out, subset
from ntprune.engine import Resident, threads
from ntprune.experiments.machine import machine
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
    parser.add_argument("--out", type=Path, default=Path("tests/audit/recorded/halving.json"))
    given = parser.parse_args()
    release = load(given.release)
    target = ntprune.domain(given.target, given.data_root)
    recipe = protocol(given.protocol).recipe
    pool = Resident.of(target.pool, release.model.preprocessing, torch.device("cpu"))
    points: list[dict[str, Any]] = []
    for attack in given.attacks:
        for n in given.budgets:
            short, longer = recipe.trial_steps(n)
            for seed in range(given.seeds):
                thief = Thief(make_attack(attack), release, target.classes, recipe, seed)
                samples = pool.take(subset(target.pool.labels, n, seed))
                lengths = {"short": short, "longer": longer, "full": recipe.steps(n)}
                with threads(1):
                    tried = {
                        name: [astuple(t) for t in thief.attempt(samples, recipe.lrs, steps)]
                        for name, steps in lengths.items()
                    }
                point = {
                    "attack": attack,
                    "n": n,
                    "seed": seed,
                    "held_out": held_out(n, recipe.validation_share),
                    "steps": lengths,
                }
                points.append(point | tried)
                print(points[-1], file=sys.stderr, flush=True)
    document = {
        "command": shlex.join(["python", "-m", "benchmarks.halving", *sys.argv[1:]]),
        "protocol": given.protocol,
        "release": release.card.weights_sha256,
        "finalists": recipe.finalists,
        "points": points,
        "machine": machine(),
    }
    write_file(given.out, json.dumps(document, indent=1).encode() + b"\n")


if __name__ == "__main__":
    main()
