"""A few steps of everything on a large network and large images: does it run, and in what memory?

`python -m benchmarks.imagenet_scale --out results/imagenet_scale.json`

Images are made up and nothing is learnt; time and memory are what is measured.
"""

from __future__ import annotations

import argparse
import json
import resource
import shlex
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.nn.functional as F

from ntprune.attacks import attack_class, attack_names, make_attack
from ntprune.domains import Domain, Split
from ntprune.engine import Resident, generator
from ntprune.experiments.common.machine import machine
from ntprune.methods import pretrain, protect
from ntprune.release import check, load
from ntprune.release.atomic import write_file

T = TypeVar("T")

# One round, two outer steps and one check with all that belongs to them; nothing is small for
# speed's sake but the number of steps.
PROTECT: dict[str, Any] = {
    "sparsity": 0.9,
    "max_source_drop": 100.0,
    "rounds": 1,
    "inner": 2,
    "finish": 2,
    "checks": 1,
    "recover": 2,
    "refit": 2,
    "depth": 2,
    "every": 1,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="resnet50")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--classes", type=int, default=20, help="of the source")
    parser.add_argument("--target-classes", type=int, default=37)
    parser.add_argument("--each", type=int, default=4, help="images of each class")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=3, help="of pretraining and of each attack")
    parser.add_argument("--attacks", nargs="*", help="by default all that can be made")
    parser.add_argument("--out", type=Path, default=Path("results/imagenet_scale.json"))
    given = parser.parse_args(arguments)
    document = {
        "command": shlex.join(
            ["python", "-m", "benchmarks.imagenet_scale", *(arguments or sys.argv[1:])]
        ),
        "threads": torch.get_num_threads(),
        "batch": given.batch,
        "steps": given.steps,
        "protect": PROTECT,
    }
    document |= measure(given)
    document["machine"] = machine()
    text = json.dumps(document, indent=2)
    write_file(given.out, text.encode() + b"\n")
    print(text)


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """Every phase in order, with its seconds and the memory that the process has needed so far."""
    phases = Phases()
    source = phases("source", lambda: made_up("source", given.classes, given.each, given.size, 0))
    target = phases(
        "target", lambda: made_up("target", given.target_classes, given.each, given.size, 1)
    )
    epochs = given.steps * given.batch / len(source.owner_train)
    base = phases(
        "pretrain",
        lambda: pretrain(given.model, source, epochs=epochs, batch=given.batch, device="cpu"),
    )
    release = phases(
        "protect",
        lambda: protect(base, source, target, device="cpu", batch=given.batch, **PROTECT),
    )
    with tempfile.TemporaryDirectory(prefix="ntprune-large-") as folder:
        place = Path(folder) / "release"
        phases("save", lambda: release.save(place))
        stored = phases("load", lambda: load(place))
        found = phases("check", lambda: check(place, source))
        size = sum(file.stat().st_size for file in place.iterdir())
    samples = Resident.of(target.pool, stored.model.preprocessing, stored.model.device)
    owners = Resident.of(source.owner_train, stored.model.preprocessing, stored.model.device)
    names = given.attacks or [
        name for name in attack_names() if attack_class(name).applies(stored, target.classes)
    ]
    for name in names:
        attack = make_attack(name)
        phases(
            f"attack {name}",
            lambda attack=attack: attack(
                stored,
                samples,
                target.classes,
                source=owners,
                steps=given.steps,
                batch=given.batch,
            ),
        )
    return {
        "network": {
            "architecture": stored.model.spec.architecture,
            "stem": stored.model.spec.stem,
            "size": stored.model.preprocessing.size,
            "weights": sum(p.numel() for p in stored.model.module.parameters()),
            "folder_mb": round(size / 2**20),
        },
        "images": {
            one.name: {"classes": len(one.classes)}
            | {part: len(getattr(one, part)) for part in ("train", "validation", "pool", "test")}
            for one in (source, target)
        },
        "sparsity": found.sparsity,
        "phases": phases.records,
    }


class Phases:
    """Runs one thing after the other and notes what it took."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []

    def __call__(self, name: str, work: Callable[[], T]) -> T:
        """What `work` returns."""
        start = time.perf_counter()
        result = work()
        record = {
            "phase": name,
            "seconds": round(time.perf_counter() - start, 2),
            "peak_memory_so_far_mb": round(peak_memory()),
        }
        self.records.append(record)
        print(record, file=sys.stderr, flush=True)
        return result


def peak_memory() -> float:
    """Megabytes this process has needed at most since it began."""
    found = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Kilobytes, but bytes on macOS.
    return found / (2**20 if sys.platform == "darwin" else 2**10)


def made_up(name: str, classes: int, each: int, size: int, seed: int) -> Domain:
    """A domain in memory: a coarse coloured pattern for every class, in noise.

    Args:
        classes: how many.
        each: images of a class, half of them in the thief's pool and at least one in each split.
        size: pixels a side.
        seed: of patterns and noise.
    """
    draw = generator(seed, "made up", name)
    patterns = torch.rand(classes, 3, 7, 7, generator=draw)
    large = F.interpolate(patterns, (size, size), mode="bilinear").mul_(180)

    def split(count: int) -> Split:
        labels = torch.arange(classes).repeat(count)
        images = torch.empty(len(labels), 3, size, size, dtype=torch.uint8)
        for place, label in enumerate(labels):
            noise = 75 * torch.rand(3, size, size, generator=draw)
            images[place] = (large[label] + noise).to(torch.uint8)
        return Split(images, labels)

    quarter = max(1, each // 4)
    names = tuple(f"{name}-{number}" for number in range(classes))
    parts = (split(count) for count in (quarter, max(1, quarter // 2), 2 * quarter, quarter))
    return Domain(name, names, *parts)


if __name__ == "__main__":
    main()
