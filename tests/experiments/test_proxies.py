"""Cheap figures beside audited ones: what is read, what is refused, what is recorded."""

from __future__ import annotations

import json
import math
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.release.toys import PROTOCOL, base, edit_card, protected, save_npz, toy

from ntprune.audit import audit
from ntprune.domains import domain
from ntprune.errors import AuditError, DataInvalidError, SettingsError
from ntprune.experiments import proxies
from ntprune.experiments.common.audited import find, read
from ntprune.experiments.proxy_scores import PROXIES
from ntprune.experiments.scatter import scatter

RULES = PROTOCOL.model_copy(
    update={
        "attacks": ("finetune", "finetune-new-head"),
        "controls": {
            "unprotected": ("finetune", "finetune-new-head"),
            "magnitude": ("finetune-new-head",),
        },
    }
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """release/, release.owner/ and audit/ as an experiment leaves them. Not to be changed."""
    folder = tmp_path_factory.mktemp("proxies")
    source, target = (
        domain(save_npz(folder / f"{name}.npz", seed))
        for seed, name in enumerate(("source", "target"))
    )
    protected(source, target).save(folder / "release")
    audit(
        folder / "release",
        target,
        protocol=RULES,
        source=source,
        out=folder / "audit",
        device="cpu",
    )
    return folder


def control(place: Path) -> Path:
    return next((place / "audit" / "jobs" / "releases").iterdir())


@pytest.fixture(scope="module")
def recorded(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the experiment writes of the release and its controls."""
    out = tmp_path_factory.mktemp("results")
    proxies.main(
        [str(place), f"{control(place)}:{place / 'audit'}", str(place), "--results", str(out)]
    )
    return out


def test_each_release_has_its_own_audited_figures(place: Path, recorded: Path) -> None:
    rows = json.loads((recorded / "proxies.json").read_text())["releases"]
    report = json.loads((place / "audit" / "report.json").read_text())
    assert [row["subject"] for row in rows] == ["release", "unprotected", "magnitude"]
    assert len({row["group"] for row in rows}) == 1
    for row, found in zip(
        rows,
        (report, report["controls"]["unprotected"], report["controls"]["magnitude"]),
        strict=True,
    ):
        wanted = {name: curve["slc_auc"] for name, curve in found["attacks"].items()}
        if row["subject"] != "magnitude":  # which had fewer attacks to choose from
            wanted["envelope"] = found["envelope"]["slc_auc"]
        assert row["gaps"] == wanted


def test_every_proxy_is_a_number_and_has_its_time(recorded: Path) -> None:
    for row in json.loads((recorded / "proxies.json").read_text())["releases"]:
        assert set(row["scores"]) == set(row["seconds"]) == set(PROXIES)
        assert all(math.isfinite(value) for value in row["scores"].values())
        assert row["scores"]["fisher"] >= 0
        for name in ("linear-probe", "ten-steps", "quick-thief", "searching-thief"):
            assert row["scores"][name] <= 0
        # It may choose the other's rate.
        assert row["scores"]["searching-thief"] >= -math.log(4)


def test_agreement_is_over_the_releases_that_have_the_figure(recorded: Path) -> None:
    found = json.loads((recorded / "proxies.json").read_text())["agreement"]
    assert {name: one["logme"]["pairs"] for name, one in found.items()} == {
        "envelope": 1,
        "finetune": 1,
        "finetune-new-head": 3,
    }
    text = (recorded / "proxies.md").read_text()
    assert "`finetune-new-head`, 3 releases, 3 pairs" in text
    assert "(unprotected)" in text
    assert "nan" not in text + json.dumps(found)


def test_the_drawing_has_a_panel_a_proxy_and_the_same_bytes(recorded: Path) -> None:
    drawn = (recorded / "scatter.svg").read_text()
    ET.fromstring(drawn)
    rows = json.loads((recorded / "proxies.json").read_text())["releases"]
    assert scatter(rows, list(PROXIES), "finetune-new-head") == drawn
    assert all(f">{name}<" in drawn for name in PROXIES)


def test_the_thiefs_pool_and_the_test_split_are_not_read(place: Path) -> None:
    given = read(place / "release", place / "audit")
    nothing: Any = None
    blind = replace(given, target=replace(given.target, pool=nothing, test=nothing))
    assert proxies.measure(blind, 0)["scores"] == proxies.measure(given, 0)["scores"]


def test_a_folder_of_runs_is_searched(place: Path, tmp_path: Path) -> None:
    (tmp_path / "refused").mkdir()
    (tmp_path / "run").symlink_to(place, target_is_directory=True)
    run = tmp_path / "run"
    wanted = [(run / name, run / "audit") for name in ("release", "release.owner")]
    assert find([str(tmp_path)]) == find([str(run)]) == wanted


def test_mistakes_are_refused(place: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no release/ with a finished audit/"):
        find([str(tmp_path)])
    with pytest.raises(AuditError, match=r"report\.json is missing, so the audit is not finished"):
        read(place / "release", tmp_path)
    base(toy(2)).save(tmp_path / "stranger")
    edit_card(tmp_path / "stranger", lambda card: card["source"].update(test=0.0))
    with pytest.raises(SettingsError, match="neither the release that was audited nor a control"):
        read(tmp_path / "stranger", place / "audit")


def test_other_data_is_refused(place: Path, tmp_path: Path) -> None:
    (tmp_path / "audit.json").write_text(json.dumps({"target": "another"}))
    (tmp_path / "report.json").write_bytes((place / "audit" / "report.json").read_bytes())
    with pytest.raises(DataInvalidError, match=r"is not what .* was made with"):
        read(place / "release", tmp_path)
