"""The table over recorded pairs holds the figures of the reports."""

from __future__ import annotations

import json
from pathlib import Path

from tests.report import factory

from ntprune.experiments.summary import summarise


def test_rows_and_commands(tmp_path: Path) -> None:
    place = tmp_path / "mnist-usps"
    place.mkdir()
    report = factory.report()
    (place / "report.json").write_text(report.model_dump_json(by_alias=True))
    stage = {"command": "ntprune protect base/", "seconds": 12.4, "peak_memory_mb": 900}
    (place / "run.json").write_text(json.dumps({"stages": {"protect": stage}}))
    (tmp_path / "unfinished").mkdir()

    text = summarise(tmp_path)

    assert text.count("\n| mnist-usps |") == 1
    assert "unfinished" not in text
    for found in (report.attacks["masked"], report.controls["unprotected"].envelope):
        assert f"| {found.slc_auc:+.3f} ({found.mean_gap:+.3f}) |" in text
    assert "`ntprune protect base/`" in text
    assert report.protocol in text
