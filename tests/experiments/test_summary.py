"""The tables over recorded pairs hold the figures of the reports."""

from __future__ import annotations

import json
from pathlib import Path

from tests.report import factory

from ntprune.experiments.common.summary import summarise


def test_a_table_a_pair(tmp_path: Path) -> None:
    place = tmp_path / "mnist-usps"
    place.mkdir()
    report = factory.report()
    for name in ("report", "paper", "audit-source-only"):
        (place / f"{name}.json").write_text(report.model_dump_json(by_alias=True))
    stage = {"command": "ntprune protect base/", "seconds": 12.4, "peak_memory_mb": 900}
    (place / "run.json").write_text(json.dumps({"stages": {"protect": stage}}))
    (tmp_path / "unfinished").mkdir()
    (tmp_path / "lost").mkdir()
    (tmp_path / "lost" / "refused.json").write_text('{"reason": "nothing kept the source"}')

    text = summarise(tmp_path)

    assert text.count("\n## mnist-usps\n") == 1
    assert "unfinished" not in text
    assert "\n## lost\n\nNo figures: nothing kept the source\n" in text
    assert "`ntprune protect base/`" in text
    assert report.protocol in text
    rows = {
        line.split(" | ")[0].removeprefix("| "): line.split(" | ")[1:]
        for line in text.splitlines()
        if line.startswith("| ")
    }
    assert rows.keys() == {
        "what is attacked",
        "release",
        *(name for name in report.controls if name != "null"),
        "ADMM on the source alone",
        "release, `paper/1`",
        "unprotected, `paper/1`",
    }
    masked, bare = report.attacks["masked"], report.controls["unprotected"]
    assert rows["release"][0] == f"{100 * report.source.after:.2f}"
    assert rows["release"][3].startswith(f"{masked.slc_auc:+.3f} ({masked.mean_gap:+.3f}")
    low, high = bare.envelope.ci95
    assert f"{bare.envelope.mean_gap:+.3f}, {low:+.3f} to {high:+.3f}" in rows["unprotected"][5]
