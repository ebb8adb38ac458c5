"""Each fake keeps the source, is a release like any other, and is seen through by an audit.

The audits are small: two budgets, two thieves, a few dozen steps. They are here because releases
are made once for all of it.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from benchmarks.fakes import END, START, base_model, filled, measure, naive_gaps, table
from tests.fakes.fake import TRICKS, Fake
from tests.fakes.mask import lying_card
from tests.fakes.surgery import pairs
from tests.fakes.table import FAKES

from ntprune.audit import Protocol, Recipe
from ntprune.audit.prepare import prepare
from ntprune.domains import Domain
from ntprune.engine import Resident
from ntprune.errors import ReleaseInvalidError
from ntprune.release import Release, check, load

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
EXACT = [fake for fake in FAKES if fake.loses == 0]


@pytest.fixture(scope="module")
def made(base: Release, source: Domain, target: Domain) -> dict[str, Release]:
    return {fake.name: fake.make(base, source, target) for fake in FAKES}


def logits(release: Release, source: Domain) -> torch.Tensor:
    images = Resident.of(source.test, release.model.preprocessing, torch.device("cpu")).images
    with torch.no_grad():
        found = release.model(images[:500])
    return (found - found.mean(1, keepdim=True)) / found.std()


@pytest.mark.parametrize("fake", EXACT, ids=lambda fake: fake.name)
def test_in_eval_mode_it_is_the_same_function(
    fake: Fake, made: dict[str, Release], base: Release, source: Domain
) -> None:
    """Up to the scale of the logits."""
    ours, theirs = logits(made[fake.name], source), logits(base, source)
    torch.testing.assert_close(ours, theirs, atol=2e-3, rtol=1e-3)
    assert made[fake.name].card.source.test == base.card.source.test


@pytest.mark.parametrize("fake", FAKES, ids=lambda fake: fake.name)
def test_the_source_is_kept(fake: Fake, made: dict[str, Release], base: Release) -> None:
    lost = 100 * (base.card.source.test - made[fake.name].card.source.test)
    assert lost <= fake.loses


@pytest.mark.parametrize("fake", FAKES, ids=lambda fake: fake.name)
def test_it_is_a_release_like_any_other(
    fake: Fake, made: dict[str, Release], base: Release, source: Domain, tmp_path: Path
) -> None:
    before = {k: v.clone() for k, v in base.model.module.state_dict().items()}
    made[fake.name].save(tmp_path / "fake")
    assert check(tmp_path / "fake", source).test == made[fake.name].card.source.test
    assert load(tmp_path / "fake").card.method == fake.name
    assert load(tmp_path / "fake.owner").card.method == "none"
    assert all(torch.equal(before[k], v) for k, v in base.model.module.state_dict().items())


def test_a_card_that_denies_the_mask_is_refused(
    base: Release, source: Domain, target: Domain, tmp_path: Path
) -> None:
    place = lying_card(base, source, target).save(tmp_path / "fake-lying-card")
    assert load(place).card.sparsity == 0
    with pytest.raises(ReleaseInvalidError) as refused:
        prepare(place, target, source=source)
    assert str(refused.value) == (
        f"{place}: 90.0 % of the weights are zero or next to it, the masks cover 0.0 %: "
        "release it with the masks that it was pruned by"
    )


def test_every_convolution_is_tampered_with(base: Release) -> None:
    convolutions = [m for m in base.model.module.modules() if isinstance(m, torch.nn.Conv2d)]
    assert [first for first, _ in pairs(base.model)] == convolutions


def test_names() -> None:
    assert len({fake.name for fake in FAKES}) == len(FAKES)
    page = (Path(__file__).parents[2] / "docs" / "fakes.md").read_text()
    assert "`fake-lying-card`" in page
    for fake in FAKES:
        assert fake.flags
        assert fake.flags.isdisjoint(fake.also)
        assert fake.flags | fake.also <= TRICKS
        entry = page.partition(f"### `{fake.name}`\n")[2].partition("\n#")[0]
        assert all(f"flags.md#{flag}" in entry for flag in fake.flags | fake.also), fake.name


@pytest.fixture(scope="module")
def ledger(made: dict[str, Release], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all fakes, so that scratch and the unprotected model are attacked once."""
    folder = tmp_path_factory.mktemp("fakes")
    for name, release in made.items():
        release.save(folder / name)
    return folder


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
