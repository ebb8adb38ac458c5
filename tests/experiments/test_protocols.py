"""One release under two protocols, and the tables that set them side by side."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.experiments.conftest import RULES, Shell

from ntprune.audit.schema import Report
from ntprune.domains import domain
from ntprune.experiments import protocols
from ntprune.methods import pretrain, protect

TARGET = "blended:optdigits"


def test_two_protocols_side_by_side(shell: Shell, tmp_path: Path) -> None:
    source = domain("optdigits")
    base = pretrain("convnet", source, width=3, size=8, epochs=1, batch=32, device="cpu")
    made = protect(
        base, source, domain(TARGET), method="magnitude", sparsity=0.5, steps=2, device="cpu"
    )
    made.save(tmp_path / "release")
    rules = {
        "polite": ["--protocol", RULES.name, "--budgets", "10,30", "--attacks", "masked"],
        "strict": ["--protocol", RULES.name, "--budgets", "10,30"],
    }
    place, results = tmp_path / "out", tmp_path / "results"
    options = ["--target", TARGET, "--ledger", str(place / "jobs"), "--engine", "inline"]
    releases = {"mine": str(tmp_path / "release")}

    protocols.run(releases, rules, options, place, results, command=shell)
    assert len(shell.typed) == 2
    polite, strict = (
        Report.model_validate_json((results / f"mine-{name}" / "report.json").read_bytes())
        for name in rules
    )
    assert polite.cost.reused == 0
    assert strict.cost.reused > 0, "scratch was in the ledger"
    table = (results / "protocols.md").read_text()
    row = next(line for line in table.splitlines() if line.startswith("| mine |"))
    gains = []
    for report in (polite, strict):
        assert f"{report.envelope.mean_gap:+.3f}" in row
        bare = report.controls["unprotected"].envelope.mean_gap
        gains.append(f"{100 * (bare - report.envelope.mean_gap):.1f}")
    assert f"{' / '.join(gains)} points" in row
    assert f"{strict.cost.reused} (" in table
    stages = json.loads((results / "run.json").read_text())["stages"]
    assert set(stages) == {"mine-polite", "mine-strict"}

    shell.typed.clear()
    protocols.run(releases, rules, options, place, results, command=shell)
    assert not shell.typed


def test_a_release_without_a_name_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["protocols", "release/"])
    with pytest.raises(SystemExit) as ended:
        protocols.main()
    assert ended.value.code == 2
    assert "'release/' has no '='" in capsys.readouterr().err
