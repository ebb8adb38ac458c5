"""The whole way on real images: MNIST digits as source, USPS digits as target."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

import ntprune as ntp
from ntprune.audit import Protocol, Recipe
from ntprune.release import check, load

pytestmark = pytest.mark.realdata

SMALL = Protocol(
    name="small/1",
    points=2,
    last=256,
    seeds=2,
    recipe=Recipe(lrs=(3e-3, 1e-2), min_steps=40, epochs=1),
    attacks=("finetune", "masked"),
    controls={"unprotected": ("finetune",), "magnitude": ("masked",), "null": ("null",)},
)


@pytest.fixture(scope="module")
def root() -> Path:
    if "NTPRUNE_DATA" not in os.environ:
        pytest.skip("NTPRUNE_DATA is not set")
    return Path(os.environ["NTPRUNE_DATA"])


def test_mnist_to_usps(root: Path, tmp_path: Path) -> None:
    digits = "[0,1,2,3]"
    source, target = ntp.domain(f"mnist{digits}", root), ntp.domain(f"usps{digits}", root)
    base = ntp.pretrain("convnet", source, epochs=1, width=8, size=16, device="cpu")
    assert base.card.source.test > 0.95

    release = ntp.protect(
        base,
        source,
        target,
        sparsity=0.8,
        max_source_drop=3.0,
        rounds=4,
        inner=15,
        finish=60,
        checks=5,
        device="cpu",
    )
    release.save(tmp_path / "release")
    found = check(tmp_path / "release", source)
    assert found.sparsity == pytest.approx(0.8, abs=1e-3)
    card = load(tmp_path / "release").card
    assert 100 * (base.card.source.validation - card.source.validation) <= 3.0

    audit = ntp.audit(
        tmp_path / "release",
        target,
        source=source,
        protocol=SMALL,
        out=tmp_path / "audit",
        engine="process",
        workers=2,
    )
    report = json.loads((tmp_path / "audit" / "report.json").read_text())
    unprotected = audit.report.controls["unprotected"].envelope
    assert unprotected.mean_gap > 0.02, "an unprotected MNIST model must help with USPS"
    assert audit.report.envelope.mean_gap < unprotected.mean_gap, "protection must take some away"
    assert report["source"]["after"] == pytest.approx(card.source.test)
