"""The study of unseen targets, with small images, a small protocol and few steps."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from tests.experiments.conftest import PAIR, Shell

from ntprune.experiments import unseen
from ntprune.experiments.common import crossed


def test_two_releases_and_two_targets(shell: Shell, tmp_path: Path) -> None:
    out, results = tmp_path / "out", tmp_path / "results"

    def run() -> None:
        inline = ["--engine", "inline", "--device", "cpu"]
        pair = replace(PAIR, audit=PAIR.audit | {"controls": "unprotected"})
        releases, targets = unseen.releases(pair.target), (pair.target, "blended:syndigits")
        crossed.run(pair, releases, targets, out, results, engine=inline, command=shell)

    run()
    commands = [line.split()[0] for line in shell.typed]
    assert commands == ["pretrain", "protect", "audit", "audit", "protect", "audit", "audit"]

    folders = sorted(p.parent for p in results.glob("*/run.json"))
    assert [folder.name for folder in folders] == [
        f"against-{against}-on-blended-{target}"
        for against in ("blended-optdigits", "none")
        for target in ("optdigits", "syndigits")
    ]
    against = [json.loads((folder / "card.json").read_text())["targets"] for folder in folders]
    assert against == [["blended:optdigits"]] * 2 + [["neighbours of optdigits"]] * 2
    for folder in folders:
        assert {p.name for p in folder.iterdir()} == {
            *("report.json", "points.csv", "history.json", "card.json", "run.json")
        }
        stages = json.loads((folder / "run.json").read_text())["stages"]
        assert "--protocol tiny/1" in stages["audit"]["command"]
        assert stages.keys() == {"pretrain", "protect", "audit"}
        assert ("--target none" in stages["protect"]["command"]) == ("none" in folder.name)
    summary = (results / "summary.md").read_text()
    assert all(f"## {folder.name}\n" in summary for folder in folders)

    run()
    assert len(shell.typed) == 7, "what was done was done again"


def test_the_real_study_audits_what_neither_release_saw() -> None:
    assert set(unseen.UNSEEN).isdisjoint({unseen.PAIR.source, unseen.PAIR.target, "none"})
    assert "budgets" in unseen.PAIR.audit
