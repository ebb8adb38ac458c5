"""Benchmarks read through torchvision, from tiny files or stand-ins for its datasets."""

from __future__ import annotations

import bz2
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torchvision

from ntprune.domains import domain, domain_names
from ntprune.domains.torchvision_sets import BENCHMARKS
from ntprune.errors import DataInvalidError, DataMissingError

TORCHVISION_STL10 = (
    *("airplane", "bird", "car", "cat", "deer"),
    *("dog", "horse", "monkey", "ship", "truck"),
)


def write_mnist(root: Path, folder: str = "MNIST", count: int = 60) -> None:
    raw = root / folder / "raw"
    raw.mkdir(parents=True)
    for part in ("train", "t10k"):
        pixels = np.repeat(np.arange(count, dtype=np.uint8), 28 * 28).tobytes()
        header = struct.pack(">IIII", 0x803, count, 28, 28)
        (raw / f"{part}-images-idx3-ubyte").write_bytes(header + pixels)
        labels = (np.arange(count) % 10).astype(np.uint8).tobytes()
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 0x801, count) + labels)


def write_usps(root: Path, count: int = 60) -> None:
    for file in ("usps.bz2", "usps.t.bz2"):
        pixels = " ".join(f"{place}:0.5" for place in range(1, 257))
        lines = [f"{number % 10 + 1} {pixels}" for number in range(count)]
        (root / file).write_bytes(bz2.compress("\n".join(lines).encode()))


@pytest.mark.parametrize("name", BENCHMARKS)
def test_missing_files_are_named_with_the_command_that_fetches_them(
    name: str, tmp_path: Path
) -> None:
    with pytest.raises(DataMissingError) as caught:
        domain(name, root=tmp_path)
    file = BENCHMARKS[name].files[0]
    assert str(caught.value) == (
        f"{name}: looked for {file} in the data root {tmp_path} and found nothing: fetch it with "
        f"'ntprune domains --download {name} --data-root {tmp_path}'"
    )
    assert name in domain_names()
    assert not list(tmp_path.iterdir()), "loading wrote something"


@pytest.mark.parametrize(
    ("name", "folder"), [("mnist", "MNIST"), ("fashion-mnist", "FashionMNIST")]
)
def test_mnist_layout(name: str, folder: str, tmp_path: Path) -> None:
    write_mnist(tmp_path, folder)
    loaded = domain(name, root=tmp_path)
    assert (loaded.size, loaded.channels, len(loaded.test)) == (28, 1, 60)
    for split in (loaded.train, loaded.validation, loaded.pool, loaded.test):
        assert (split.images[:, 0, 5, 5] % 10 == split.labels).all()


def test_usps_layout_and_blending(tmp_path: Path) -> None:
    write_usps(tmp_path)
    loaded = domain("usps", root=tmp_path)
    assert (loaded.size, loaded.channels) == (16, 1)
    assert np.bincount(loaded.test.labels).tolist() == [6] * 10
    blended = domain("blended:usps", root=tmp_path)
    assert (blended.size, blended.channels, len(blended.test)) == (16, 3, 60)


@pytest.mark.parametrize("damage", ["cut", "garbage"])
def test_damaged_files_are_refused(damage: str, tmp_path: Path) -> None:
    write_mnist(tmp_path)
    file = tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:5000] if damage == "cut" else b"garbage" * 9)
    with pytest.raises(DataInvalidError, match=r"^mnist: .* cannot be read .* delete it") as error:
        domain("mnist", root=tmp_path)
    assert "\n" not in str(error.value)


class FakeDataset:
    """Ten images a label; pixel value = torchvision's label."""

    def __init__(self, root: str, **options: Any) -> None:
        labels = np.repeat(np.arange(10), 10)
        self.options = options
        self.labels = labels
        pixels = np.broadcast_to(labels[:, None, None, None], (100, 3, 8, 8))
        self.data = pixels.astype(np.uint8)


class FakeCifar(FakeDataset):
    """CIFAR-10 holds `targets`, a list, and channels last."""

    def __init__(self, root: str, **options: Any) -> None:
        super().__init__(root, **options)
        self.targets = self.labels.tolist()
        self.data = self.data.transpose(0, 2, 3, 1)


@pytest.fixture
def fakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(torchvision.datasets, "STL10", FakeDataset)
    monkeypatch.setattr(torchvision.datasets, "SVHN", FakeDataset)
    monkeypatch.setattr(torchvision.datasets, "CIFAR10", FakeCifar)
    for name in ("stl10", "svhn", "cifar10"):
        for file in BENCHMARKS[name].files:
            (tmp_path / file).touch()
    return tmp_path


def test_stl10_and_cifar10_share_their_labels(fakes: Path) -> None:
    cifar, stl = domain("cifar10", root=fakes, size=8), domain("stl10", root=fakes, size=8)
    assert (cifar.classes[6], stl.classes[6]) == ("frog", "monkey")
    assert cifar.classes[:6] + cifar.classes[7:] == stl.classes[:6] + stl.classes[7:]
    assert (cifar.flips, stl.flips) == (True, True)
    assert (cifar.test.images[:, 0, 0, 0] == cifar.test.labels).all()
    for pixel, label in zip(stl.test.images[:, 0, 0, 0], stl.test.labels, strict=True):
        given = TORCHVISION_STL10[int(pixel)]
        assert stl.classes[int(label)] == {"car": "automobile"}.get(given, given)


def test_svhn_digits_are_not_flipped(fakes: Path) -> None:
    loaded = domain("svhn", root=fakes, size=8)
    assert (loaded.flips, loaded.channels, len(loaded.classes)) == (False, 3, 10)


def test_download_only_when_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    class Downloading(FakeDataset):
        def __init__(self, root: str, **options: Any) -> None:
            super().__init__(root, **options)
            asked.append(options)
            for file in BENCHMARKS["svhn"].files if options.get("download") else ():
                (Path(root) / file).touch()

    monkeypatch.setattr(torchvision.datasets, "SVHN", Downloading)
    with pytest.raises(DataMissingError):
        domain("svhn", root=tmp_path)
    assert not asked
    domain("svhn", root=tmp_path, download=True)
    assert asked == [
        {"download": True, "split": "train"},
        {"download": True, "split": "test"},
        {"split": "train"},
        {"split": "test"},
    ]


def test_a_failed_download_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(root: str, **options: Any) -> None:
        raise RuntimeError("no\nroute")

    monkeypatch.setattr(torchvision.datasets, "USPS", fail)
    for name in ("usps", "blended:usps"):
        with pytest.raises(DataMissingError, match=r"^usps: download into .* failed \(no route\)"):
            domain(name, root=tmp_path, download=True)
