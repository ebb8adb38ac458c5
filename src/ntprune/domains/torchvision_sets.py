"""Benchmarks that torchvision reads, in the layout torchvision gives them under the data root."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ntprune.domains.check import check_arrays
from ntprune.domains.domain import Split
from ntprune.domains.rawset import DIGITS, RawSet, Request
from ntprune.domains.registry import register
from ntprune.domains.text import one_line
from ntprune.errors import DataInvalidError, DataMissingError

CIFAR10_CLASSES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
# STL-10 shares nine classes with CIFAR-10; they get the same labels in both. Label 6 is what is
# left over: `frog` in CIFAR-10, `monkey` in STL-10.
STL10_CLASSES = tuple("monkey" if name == "frog" else name for name in CIFAR10_CLASSES)
# torchvision's STL-10 order: airplane, bird, car, cat, deer, dog, horse, monkey, ship, truck.
STL10_TO_SHARED = torch.tensor([0, 2, 1, 3, 4, 5, 7, 6, 8, 9])
FASHION_CLASSES = (
    *("t-shirt", "trouser", "pullover", "dress", "coat"),
    *("sandal", "shirt", "sneaker", "bag", "ankle-boot"),
)

IDX = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")


@dataclass(frozen=True)
class Benchmark:
    """How torchvision calls a set, how it splits it and where it looks for it."""

    dataset: str
    classes: tuple[str, ...]
    files: tuple[str, ...]
    parts: tuple[dict[str, Any], dict[str, Any]] = ({"train": True}, {"train": False})
    relabel: Tensor | None = None


_BY_SPLIT = ({"split": "train"}, {"split": "test"})
BENCHMARKS = {
    "mnist": Benchmark("MNIST", DIGITS, tuple(f"MNIST/raw/{file}-ubyte" for file in IDX)),
    "usps": Benchmark("USPS", DIGITS, ("usps.bz2", "usps.t.bz2")),
    "svhn": Benchmark("SVHN", DIGITS, ("train_32x32.mat", "test_32x32.mat"), _BY_SPLIT),
    "cifar10": Benchmark("CIFAR10", CIFAR10_CLASSES, ("cifar-10-batches-py",)),
    "stl10": Benchmark("STL10", STL10_CLASSES, ("stl10_binary",), _BY_SPLIT, STL10_TO_SHARED),
    "fashion-mnist": Benchmark(
        "FashionMNIST", FASHION_CLASSES, tuple(f"FashionMNIST/raw/{file}-ubyte" for file in IDX)
    ),
}


def read(name: str, root: Path) -> RawSet:
    """Read a benchmark from `root`.

    Raises:
        DataMissingError: a file is not there.
        DataInvalidError: a file is there but damaged.
    """
    benchmark = BENCHMARKS[name]
    for file in benchmark.files:
        if not (root / file).exists():
            raise DataMissingError(
                f"{name}: looked for {file} in the data root {root} and found nothing: fetch it "
                f"with 'ntprune domains --download {name} --data-root {root}'"
            )
    rest, test = (_read_part(name, benchmark, root, part) for part in benchmark.parts)
    return RawSet(rest, test, benchmark.classes)


def _read_part(name: str, benchmark: Benchmark, root: Path, part: dict[str, Any]) -> Split:
    try:
        dataset = _dataset(benchmark)(str(root), **part)
    except Exception as error:  # torchvision's parsers raise whatever damaged bytes lead them to
        raise DataInvalidError(
            f"{name}: {', '.join(benchmark.files)} in {root} cannot be read "
            f"({one_line(error)}): delete it and fetch it again with "
            f"'ntprune domains --download {name} --data-root {root}'"
        ) from error
    labels = dataset.targets if hasattr(dataset, "targets") else dataset.labels
    images, labels = check_arrays(
        np.asarray(dataset.data), np.asarray(labels), benchmark.classes, f"{name} in {root}"
    )
    return Split(images, labels if benchmark.relabel is None else benchmark.relabel[labels])


def fetcher(name: str) -> Callable[[Path], None]:
    """What downloads the benchmark into a data root, both splits."""

    def fetch(root: Path) -> None:
        benchmark = BENCHMARKS[name]
        try:
            for part in benchmark.parts:
                _dataset(benchmark)(str(root), download=True, **part)
        except (OSError, RuntimeError) as error:
            raise DataMissingError(
                f"{name}: download into {root} failed ({one_line(error)}): check the network and "
                "that the folder can be written, then try again"
            ) from error

    return fetch


def _dataset(benchmark: Benchmark) -> Any:
    from torchvision import datasets

    return getattr(datasets, benchmark.dataset)


def _register(name: str, summary: str, size: int, flips: bool = False) -> None:
    @register(name, summary=summary, flips=flips, size=size, fetch=fetcher(name))
    def load(request: Request) -> RawSet:
        return read(name, request.root)


_register("mnist", "MNIST, 60,000 + 10,000 handwritten digits, grey 28×28", 28)
_register("usps", "USPS, 7,291 + 2,007 handwritten digits, grey 16×16", 16)
_register("svhn", "SVHN, 73,257 + 26,032 house numbers, RGB 32×32", 32)
_register("cifar10", "CIFAR-10, 50,000 + 10,000 objects, RGB 32×32", 32, flips=True)
_register(
    "stl10", "STL-10, 5,000 + 8,000 objects, RGB 96×96, labels as in cifar10 (6: monkey)", 96, True
)
_register("fashion-mnist", "Fashion-MNIST, 60,000 + 10,000 garments, grey 28×28", 28, flips=True)
