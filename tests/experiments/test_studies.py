"""Each study on a tiny pair: made, taken up again, published after every release."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.experiments.conftest import PAIR, Shell, workshop
from tests.experiments.factory import measured, record

from ntprune.errors import OutputError
from ntprune.experiments.sparsity import SPARSITIES
from ntprune.experiments.studies import STUDIES
from ntprune.experiments.study import Study, Workshop, outstanding, run
from ntprune.experiments.study.record import Record
from ntprune.experiments.study.table import table
from ntprune.methods import method_class
from ntprune.methods.ntp import NTPSettings


def made(study: Study, shop: Workshop, results: Path, **changes: Any) -> Record:
    values: dict[str, Any] = {"pair": "tiny", "seeds": [0], "command": "ntprune experiment"}
    return run(study, shop, results=results, **(values | changes))


# Every part that is taken off runs other code; the others vary numbers.
EVERY = {"ablation": 1, "frontier": 5, "sparsity": 5}


def thinned(study: Study, every: int) -> Study:
    return replace(study, variants=lambda pair: study.variants(pair)[::every])


@pytest.mark.parametrize("name", STUDIES)
def test_made_and_not_made_again(name: str, shell: Shell, tmp_path: Path) -> None:
    study, shop = thinned(STUDIES[name], EVERY[name]), workshop(tmp_path / "out", shell)
    variants = study.variants(PAIR)
    planned = outstanding(study, shop, [0])
    heard: list[tuple[Any, ...]] = []
    record = made(study, shop, tmp_path, progress=lambda *said: heard.append(said))
    assert len(shell.typed) == sum(map(len, planned)) == 1 + 2 * len(variants)
    assert [row.label for row in record.rows] == [v.label for v in variants]
    assert all(row.measured for row in record.rows)
    assert record.unprotected is not None
    assert record.protocol.startswith("tiny/1 with budgets 10,30, attacks finetune,finetune-new")
    assert heard[-1] == (name, len(variants), len(variants), f"see {tmp_path}")

    shell.typed.clear()
    assert not any(outstanding(study, shop, [0]))
    again = made(study, shop, tmp_path)
    assert shell.typed == []
    assert again.rows == record.rows
    kept = Record.model_validate_json((tmp_path / "data.json").read_bytes())
    assert kept == again
    table = (tmp_path / "table.md").read_text()
    assert all(f"\n| {variant.label} | 1 |" in table for variant in variants)
    assert (tmp_path / "figure.svg").read_text().startswith("<svg xmlns=")


@pytest.fixture
def short() -> Study:
    """Two variants of the ablation."""
    return thinned(STUDIES["ablation"], 5)


def test_every_release_is_published_and_a_stop_loses_nothing(
    short: Study, shell: Shell, tmp_path: Path
) -> None:
    def dying(arguments: Any, say: Any) -> Any:
        if len(shell.typed) == 4:
            raise KeyboardInterrupt
        return shell(arguments, say)

    shop = workshop(tmp_path / "out", shell)
    with pytest.raises(KeyboardInterrupt):
        made(short, replace(shop, command=dying), tmp_path)
    assert [command.split()[0] for command in shell.typed] == [
        "pretrain", "protect", "audit", "protect",
    ]  # fmt: skip
    found = json.loads((tmp_path / "data.json").read_text())
    assert (len(found["rows"]), found["planned"]) == (1, 2)
    assert (tmp_path / "figure.svg").exists()
    shell.typed.clear()
    record = made(short, shop, tmp_path)
    assert [command.split()[0] for command in shell.typed] == ["audit"]
    assert len(record.rows) == 2


def test_all_variants_come_before_the_next_seed(short: Study, shell: Shell, tmp_path: Path) -> None:
    shop = workshop(tmp_path / "out", shell)
    record = made(short, shop, tmp_path, seeds=[0, 1])
    protections = [c.split() for c in shell.typed if c.startswith("protect")]
    assert [c[c.index("--seed") + 1] for c in protections] == ["0", "0", "1", "1"]
    assert [(row.label, row.seed) for row in record.rows] == [
        (v.label, seed) for v in short.variants(PAIR) for seed in (0, 1)
    ]
    (whole, *_) = record.groups()
    low, high = whole.ends("slc_auc") or (0.0, 0.0)
    assert low <= whole.mean("slc_auc") <= high


def test_a_constraint_that_cannot_be_kept_is_a_finding(
    short: Study, shell: Shell, tmp_path: Path
) -> None:
    absurd = replace(PAIR, protect=PAIR.protect | {"sparsity": 0.97, "max_source_drop": 0.0})
    shop = workshop(tmp_path / "out", shell, pair=absurd)
    record = made(short, shop, tmp_path)
    assert [command.split()[0] for command in shell.typed] == ["pretrain", "protect", "protect"]
    assert all(row.measured is None and row.lost_pp for row in record.rows)
    lost = f"{record.rows[0].lost_pp:.2f}"
    assert (
        f"not inside the constraint; the best checkpoint lost {lost} points"
        in (tmp_path / "table.md").read_text()
    )
    assert not (tmp_path / "figure.svg").exists()
    shell.typed.clear()
    assert made(short, shop, tmp_path).rows == record.rows
    assert shell.typed == []


def test_the_table_has_every_attack() -> None:
    found = record(STUDIES["ablation"])
    wider = measured(-0.1, 0.6, attacks={"finetune": -0.1, "rescale": 0.02})
    rows = [found.rows[0].model_copy(update={"measured": wider}), *found.rows[1:]]
    head, _, bare, first, second, *_ = (
        line.split(" | ")[6:-1]
        for line in table(found.model_copy(update={"rows": rows})).splitlines()
        if line.startswith("| ")
    )
    assert head == ["`finetune`", "`finetune-new-head`", "`rescale`"]
    assert [each[2] for each in (bare, first, second)] == ["–", "+0.020", "–"]
    assert first[:2] == ["−0.100", "–"]
    assert "–" not in second[:2]


def test_a_loss_that_is_not_finite_is_a_finding(short: Study, shell: Shell, tmp_path: Path) -> None:
    wild = replace(PAIR, protect=PAIR.protect | {"lr": 1e38})
    record = made(short, workshop(tmp_path / "out", shell, pair=wild), tmp_path)
    assert all(row.measured is None and row.lost_pp is None for row in record.rows)
    table = (tmp_path / "table.md").read_text()
    assert "seed 0: not released: the loss became non-finite twice" in table


def test_other_defaults_make_another_release(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Changed(NTPSettings):
        clamp: float = 2.5

    shop, whole = workshop(tmp_path, shell), STUDIES["ablation"].variants(PAIR)[0]
    before = shop.place(whole, 0)
    assert "clamp" not in whole.settings
    monkeypatch.setattr(method_class("ntp"), "Settings", Changed)
    assert shop.place(whole, 0) != before


def test_results_of_another_study_are_kept(short: Study, shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "data.json").write_text('{"study": "ablation", "pair": "mnist-usps"}')
    with pytest.raises(OutputError, match="'ablation' on mnist-usps: choose another --results"):
        made(short, workshop(tmp_path / "out", shell), tmp_path)
    assert shell.typed == []


def test_studies_share_what_they_have_in_common(shell: Shell, tmp_path: Path) -> None:
    """The whole method of the ablation is a point of the frontier."""
    shop = workshop(tmp_path, shell)
    whole = STUDIES["ablation"].variants(PAIR)[0]
    point = STUDIES["frontier"].variants(PAIR)[-1]
    assert shop.place(whole, 0) == shop.place(point, 0)
    assert shop.place(whole, 0) != shop.place(whole, 1)
    other = replace(PAIR, pretrain={"epochs": 4})
    assert workshop(tmp_path, shell, pair=other).folder != shop.folder


def test_the_frontier_varies_one_thing_at_a_time() -> None:
    variants = STUDIES["frontier"].variants(PAIR)
    counts = Counter(variant.series for variant in variants)
    assert counts == {"sparsity": 5, "Fisher term": 5, "lookahead": 5, "all three": 1}
    terms = ("sparsity", "alpha", "fisher", "lookahead")
    for variant in variants:
        on = {term for term in terms if variant.settings.get(term, 1)}
        if variant.series == "Fisher term":
            assert on == {"fisher"}
        elif variant.series == "lookahead":
            assert on == {"lookahead"}
        assert variant.at in (
            variant.settings["max_source_drop"]
            if variant.method == "ntp"
            else variant.settings["sparsity"],
            None,
        )


def test_the_ablation_takes_one_part_off_at_a_time() -> None:
    whole, *others = STUDIES["ablation"].variants(PAIR)
    assert whole.settings == PAIR.settings
    off = [set(v.settings.items()) - set(whole.settings.items()) for v in others]
    assert all(off)
    assert len(off) == len({frozenset(part) for part in off}) == 9


def test_controls_take_as_many_steps_as_the_method() -> None:
    """At equal sparsity, a difference must not be one of training."""
    ntp = NTPSettings(**PAIR.settings)
    steps = ntp.rounds * ntp.inner + ntp.finish * (ntp.recover + 1)
    variants = STUDIES["sparsity"].variants(PAIR)
    for variant in variants:
        given = variant.settings
        assert given["sparsity"] == variant.at
        if variant.method != "ntp":
            assert given.get("rounds", 0) * given.get("inner", 0) + given["steps"] == steps
    assert Counter(variant.at for variant in variants) == dict.fromkeys(SPARSITIES, 3)
