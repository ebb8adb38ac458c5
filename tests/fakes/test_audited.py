"""An audit sees through every fake. Small: two budgets, two thieves, a few dozen steps."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from benchmarks.fakes import END, START, base_model, filled, measure, naive_gaps, table
from tests.fakes.fake import TRICKS, Fake
from tests.fakes.table import FAKES

from ntprune.audit import Protocol, Recipe
from ntprune.domains import Domain
from ntprune.release import Release

_FREE = ("finetune", "finetune-new-head")
REDUCED = Protocol(
    name="reduced/1",
    # Below, a head that knows the classes is a head start of its own, and a new one isn't.
    first=128,
    points=2,
    last=1024,
    seeds=2,
    recipe=Recipe(lrs=(3e-3, 1e-2), min_steps=40, epochs=1),
    attacks=(*_FREE, "rescale"),
    controls={"unprotected": _FREE},
)
BLIND = REDUCED.model_copy(update={"name": "blind/1", "attacks": ("finetune",)})


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all fakes, so that scratch and the unprotected model are attacked once."""
    return tmp_path_factory.mktemp("fakes")


def measured(
    fake: Fake, base: Release, source: Domain, target: Domain, out: Path, protocol: Protocol
) -> dict[str, Any]:
    return measure(fake, base, source, target, out, protocol=protocol, device="cpu")


@pytest.mark.parametrize("fake", FAKES, ids=lambda fake: fake.name)
def test_the_audit_sees_through(
    fake: Fake, base: Release, source: Domain, target: Domain, ledger: Path
) -> None:
    rules = REDUCED
    if "plain-mask" in fake.flags:
        controls = REDUCED.controls | {"magnitude": _FREE}
        rules = REDUCED.model_copy(
            update={
                "name": "reduced-mask/1",
                "attacks": (*_FREE, "masked"),
                "controls": controls,
            }
        )
    row = measured(fake, base, source, target, ledger, rules)
    assert row["fooled"], row
    assert row["share"] >= fake.share, row
    assert not row["unnamed_flags"], row
    assert TRICKS.intersection(row["flags"]) <= fake.flags | fake.also, "called what it is not"


def test_the_record(base: Release, source: Domain, target: Domain, ledger: Path) -> None:
    """Run twice: what is done is not done again."""
    (fake,) = (replace(f, name=f"{f.name}-blind") for f in FAKES if f.name == "fake-dead-relus")
    row = measured(fake, base, source, target, ledger, BLIND)
    before = {p: p.stat().st_mtime_ns for p in (ledger / "jobs").glob("*.json")}
    assert measured(fake, base, source, target, ledger, BLIND) == row
    assert before == {p: p.stat().st_mtime_ns for p in (ledger / "jobs").glob("*.json")}
    assert row["naive"] < 0.2 < row["naive_bare"]
    assert row["share"] < 0, "kept-head fine-tuning alone is fooled"
    assert row["fooled"]
    row |= naive_gaps(fake, base, target, ledger)
    assert row["naive_mean_gap"] < 0
    assert row["naive_mean_gap"] < row["naive_bare_mean_gap"] - 0.1
    assert row["naming_flags"] == ["unusual-scale"]
    assert row["unnamed_flags"] == ["normalisation-games"], "nothing that repairs it was tried"
    assert {"chance-level", "same-encoder"} <= set(row["flags"])
    document = {
        "command": "python -m benchmarks.fakes",
        "source": source.name,
        "target": target.name,
        "base": base.card.model_dump(mode="json", by_alias=True),
        "fakes": [row],
        "machine": {"processor": "a processor", "versions": {"torch": "2"}},
    }
    text = table(json.loads(json.dumps(document)))
    assert "**unusual-scale**" in text
    assert "normalisation-games is missing |" in text
    assert f"({row['naive_bare_mean_gap']:+.3f}) |" in text
    assert "did not fool" not in text
    lines = text.splitlines()
    assert {line.count("|") for line in lines[:3]} == {11}
    document["fakes"] = [row, row | {"fake": "fake-honest", "fooled": False}]
    assert "On this pair `fake-honest` did not fool" in table(document)
    assert "| **no** |" in table(document)
    page = (Path(__file__).parents[2] / "docs" / "fakes.md").read_text()
    once = filled(page, text)
    assert text in once
    assert filled(once, text) == once
    assert once.count(START) == once.count(END) == 1


def test_the_base_is_trained_once(source: Domain, tmp_path: Path) -> None:
    made = [base_model(tmp_path / "base", source, width=4, epochs=0.1) for _ in range(2)]
    assert made[0].card == made[1].card
