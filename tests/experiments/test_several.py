"""The study of several targets at once, with small images, a small protocol and few steps."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from tests.experiments.conftest import PAIR, Shell

from ntprune.experiments import several
from ntprune.experiments.common import crossed


def test_four_releases_and_two_targets(shell: Shell, tmp_path: Path) -> None:
    out, results = tmp_path / "out", tmp_path / "results"
    inline = ["--engine", "inline", "--device", "cpu"]
    pair = replace(PAIR, audit=PAIR.audit | {"controls": "unprotected"})
    both = ("blended:optdigits", "blended:syndigits")
    releases = several.releases(*both)
    crossed.run(pair, releases, both, out, results, engine=inline, command=shell)

    commands = [line.split()[0] for line in shell.typed]
    assert commands == ["pretrain", *["protect", "audit", "audit"] * 4]
    against = {
        folder.name: tuple(json.loads((folder / "card.json").read_text())["targets"])
        for folder in results.iterdir()
        if folder.is_dir()
    }
    expected = {
        "both-by-the-mean": both,
        "both-by-the-worst": both,
        "blended-optdigits": both[:1],
        "blended-syndigits": both[1:],
    }
    assert against == {
        f"against-{name}-on-blended-{target}": targets
        for name, targets in expected.items()
        for target in ("optdigits", "syndigits")
    }
    worst = json.loads((out / "against-both-by-the-worst" / "card.json").read_text())
    assert worst["settings"]["combine"] == "worst"
    summary = (results / "summary.md").read_text()
    assert all(f"## {name}\n" in summary for name in against)
