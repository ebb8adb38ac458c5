"""Two tiny domains and a trained network, made in seconds, for every test that needs some."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

import ntprune
from ntprune.domains import Domain, Split
from ntprune.models import registry
from ntprune.release import Release

SIZE = 8


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Results agree to the bit on one thread only; that is how jobs run, too."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session", autouse=True)
def hearing_interrupts() -> Iterator[None]:
    """A shell makes what it runs in the background deaf to Ctrl-C, and children inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def own_architectures(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is gone after it, or tests would depend on which of them share a
    process."""
    registry.architecture_names()
    monkeypatch.setattr(registry._BUILDERS, "_entries", dict(registry._BUILDERS._entries))


def _shape(label: int) -> Tensor:
    """A bar for each of four classes: lying, standing, falling, rising."""
    grid = torch.zeros(SIZE, SIZE)
    if label == 0:
        grid[3:5, 1:7] = 1
    elif label == 1:
        grid[1:7, 3:5] = 1
    else:
        steps = torch.arange(1, 7)
        grid[steps, steps if label == 2 else SIZE - 1 - steps] = 1
        grid[steps, (steps if label == 2 else SIZE - 1 - steps) - 1] = 1
    return grid


def _split(count: int, classes: int, inverted: bool, draw: torch.Generator) -> Split:
    labels = torch.arange(count)[torch.randperm(count, generator=draw)] % classes
    clean = torch.stack([_shape(int(label)) for label in labels])
    strength = 0.3 + 0.5 * torch.rand(count, 1, 1, generator=draw)
    pixels = strength * clean + 0.35 * torch.rand(count, SIZE, SIZE, generator=draw)
    if inverted:
        pixels = 1 - pixels
    return Split((255 * pixels.clamp(0, 1)).round().to(torch.uint8)[:, None], labels)


def tiny_domain(
    name: str, classes: tuple[str, ...], *, inverted: bool = False, seed: int = 0
) -> Domain:
    """About 400 grey 8×8 images of noisy bars, up to four classes."""
    draw = torch.Generator().manual_seed(seed)
    parts = [_split(count, len(classes), inverted, draw) for count in (160, 40, 120, 80)]
    return Domain(name, classes, *parts)


BARS = ("lying", "standing", "falling", "rising")


@pytest.fixture(scope="session")
def tiny_source() -> Domain:
    """Bright bars of four directions."""
    return tiny_domain("tiny-bright", BARS, seed=1)


@pytest.fixture(scope="session")
def tiny_target() -> Domain:
    """Dark bars of the same four directions and class names."""
    return tiny_domain("tiny-dark", BARS, inverted=True, seed=2)


@pytest.fixture(scope="session")
def tiny_other() -> Domain:
    """Dark bars of three directions under other names."""
    return tiny_domain("tiny-other", ("a", "b", "c"), inverted=True, seed=3)


@pytest.fixture(scope="session")
def tiny_many(tiny_target: Domain) -> Domain:
    """Seven classes, three more than the source has: the dark bars, half of three kinds paler."""

    def more(split: Split) -> Split:
        odd = torch.arange(len(split)) % 2 == 1
        paler = odd & (split.labels < 3)
        images = torch.where(paler.view(-1, 1, 1, 1), 128 + split.images // 2, split.images)
        return Split(images, torch.where(paler, split.labels + 4, split.labels))

    whole = tiny_target
    parts = (more(split) for split in (whole.train, whole.validation, whole.pool, whole.test))
    return Domain("tiny-many", tuple("abcdefg"), *parts)


@pytest.fixture(scope="session")
def tiny_base(tiny_source: Domain) -> Release:
    """A convnet of width 4 that has learnt the bright bars."""
    base = ntprune.pretrain(
        "convnet", tiny_source, width=4, epochs=8, batch=32, lr=1e-2, device="cpu"
    )
    assert base.card.source.test > 0.9, "the tiny source is not learnt: tests would mean nothing"
    return base
