"""The whole way with networks that are used elsewhere: no step knows how large one is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.release.toys import PROTOCOL, TINY

import ntprune
from ntprune.audit.subsets import subset
from ntprune.domains import Domain
from ntprune.release import check, load

RULES = PROTOCOL.model_copy(
    update={
        "last": 16,
        "recipe": PROTOCOL.recipe.model_copy(update={"lrs": (3e-3,), "min_steps": 1, "batch": 8}),
        "attacks": ("finetune", "finetune-new-head"),
        "controls": {},
    }
)


def few(domain: Domain, train: int, other: int) -> Domain:
    """Balanced subsets of all splits."""
    counts = {"train": train, "validation": other, "pool": other, "test": other}
    parts = {
        name: getattr(domain, name).take(subset(getattr(domain, name).labels, count, 0))
        for name, count in counts.items()
    }
    return replace(domain, **parts)


def the_whole_way(name: str, size: int, source: Domain, target: Domain, place: Path) -> None:
    base = ntprune.pretrain(name, source, epochs=0.5, batch=16, size=size, device="cpu")
    settings = TINY | {"batch": 8, "rounds": 1, "finish": 1}
    ntprune.protect(base, source, target, device="cpu", **settings).save(place / "release")
    found = check(place / "release", source)
    assert found.sparsity == pytest.approx(TINY["sparsity"], abs=1e-3)
    loaded = load(place / "release")
    assert loaded.model.spec.architecture == name
    assert loaded.model.preprocessing.size == size
    assert all(torch.isfinite(p).all() for p in loaded.model.module.parameters())
    report = ntprune.audit(
        place / "release", target, protocol=RULES, source=source, device="cpu"
    ).report
    assert report.release["weights_sha256"] == loaded.card.weights_sha256
    assert report.source.after == found.test
    assert "finetune-new-head" in report.attacks
    assert ("finetune" in report.attacks) == (source.classes == target.classes)
    assert report.missing == []
    assert all(0 <= value <= 1 for value in report.envelope.curve)


def test_a_resnet_on_tiny_images(tiny_source: Domain, tiny_other: Domain, tmp_path: Path) -> None:
    """Its width is torchvision's; few and small images keep it fast."""
    the_whole_way("resnet18", 8, few(tiny_source, 24, 16), few(tiny_other, 8, 16), tmp_path)


@pytest.mark.parametrize(("size", "stem"), [(32, "small"), (96, "imagenet")])
def test_large_images_are_not_kept_at_their_resolution(
    size: int, stem: str, tiny_source: Domain
) -> None:
    source = few(tiny_source, 8, 8)
    base = ntprune.pretrain("convnet", source, width=2, epochs=0.1, size=size, device="cpu")
    assert base.model.spec.stem == stem


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet18", "vgg11_bn"])
def test_on_digits_of_32_pixels(name: str, tmp_path: Path) -> None:
    source, target = (
        few(ntprune.domain(digits, size=32), 20, 40)
        for digits in ("syndigits", "blended:syndigits")
    )
    assert (source.channels, source.size) == (3, 32)
    the_whole_way(name, 32, source, target, tmp_path)
