"""Named pairs, and the commands that are made of them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from tests.experiments.conftest import PAIR, Shell

from ntprune.audit.schema import Report
from ntprune.domains import domain
from ntprune.errors import ConstraintError, UnknownNameError
from ntprune.experiments import pairs
from ntprune.experiments.common.named_pairs import PAIRS, named_pair, protect_command
from ntprune.experiments.common.stages import StageError
from ntprune.methods import make_method


def test_pairs_have_two_sides() -> None:
    assert all(pair.source != pair.target for pair in PAIRS.values())


@pytest.mark.parametrize("name", PAIRS)
def test_their_settings_are_the_methods(name: str) -> None:
    assert make_method("ntp", **PAIRS[name].settings).settings.max_source_drop > 0


def test_an_unknown_pair_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="unknown pair 'mnist-upsp': did you mean 'mnist-u"):
        named_pair("mnist-upsp")


def test_the_embedded_pairs_have_their_budgets() -> None:
    for pair in PAIRS.values():
        if "digits" in pair.source:
            largest = max(map(int, pair.audit["budgets"].split(",")))
            assert largest <= len(domain(pair.target).pool)


def test_settings_become_options() -> None:
    command = protect_command(PAIR, "base", "out", {"sparsity": 0.5, "fisher": 0.0}, "ntp")
    assert command == [
        *("protect", "base", "--target", "blended:optdigits", "--method", "ntp"),
        *("--sparsity", "0.5", "--set", "fisher=0.0", "--out", "out"),
    ]


def test_a_pair_is_run_once_and_recorded(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PAIRS, "tiny", PAIR)
    monkeypatch.setattr(pairs, "ENGINE", ["--engine", "inline"])
    pairs.run("tiny", tmp_path / "out", tmp_path / "results", command=shell)
    stages = ["pretrain", "protect", "audit", "report", "audit", "protect", "audit", "audit"]
    assert [c.split()[0] for c in shell.typed] == stages
    run = json.loads((tmp_path / "results" / "run.json").read_text())
    assert [stage["command"].split()[1] for stage in run["stages"].values()] == stages
    reports = {
        name: Report.model_validate_json((tmp_path / "results" / f"{name}.json").read_bytes())
        for name in ("report", "paper", "audit-source-only", "paper-source-only")
    }
    assert reports["paper"].budgets == [12, 30]
    control = reports["audit-source-only"]
    assert control.release["method"] == "admm"
    assert control.cost.reused > 0, "scratch and unprotected were in the ledger"
    assert reports["paper-source-only"].release == control.release
    text = pairs.summarise(tmp_path)
    assert "## results" in text
    assert f"{reports['paper'].envelope.slc_auc:+.3f}" in text
    assert f"{control.attacks['masked-new-head'].slc_auc:+.3f}" in text
    shell.typed.clear()
    pairs.run("tiny", tmp_path / "out", tmp_path / "results", command=shell)
    assert not shell.typed


def test_a_pair_that_fails_is_reported_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []

    def run(name: str, out: Path, results: Path) -> None:
        ran.append(name)
        if name == "usps-mnist" and ran.count(name) == 1:
            raise StageError(str(ConstraintError(2.83, 0.75)))

    monkeypatch.setattr(pairs, "run", run)
    command = ["pairs", "usps-mnist", "cifar5-cifar5", "--results", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit, match="usps-mnist: no checkpoint kept"):
        pairs.main()
    assert ran == ["usps-mnist", "cifar5-cifar5"]
    words = (
        "## usps-mnist\n\nNo figures: no checkpoint kept the source accuracy: the best lost 2.83"
    )
    assert words in (tmp_path / "summary.md").read_text()
    pairs.main()
    assert "No figures" not in (tmp_path / "summary.md").read_text()


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("ntprune audit ended with code -9"),
        StageError("cannot write runs: no space left on device"),
    ],
    ids=["it broke", "a mistake of the user's"],
)
def test_a_command_that_ended_otherwise_is_no_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def run(name: str, out: Path, results: Path) -> None:
        raise error

    monkeypatch.setattr(pairs, "run", run)
    monkeypatch.setattr(sys, "argv", ["pairs", "usps-mnist", "--results", str(tmp_path)])
    with pytest.raises(SystemExit, match=f"usps-mnist: {error}"):
        pairs.main()
    assert "usps-mnist" not in (tmp_path / "summary.md").read_text()


def test_a_pair_that_does_not_exist_is_refused_before_the_others_are_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pairs, "run", lambda *_: pytest.fail("was run"))
    monkeypatch.setattr(sys, "argv", ["pairs", "usps-mnist", "usps-mnits"])
    with pytest.raises(SystemExit, match="2"):
        pairs.main()
    assert capsys.readouterr().err.startswith("unknown pair 'usps-mnits'")
