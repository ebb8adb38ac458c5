"""The tables over recorded pairs hold the figures of the reports."""

from __future__ import annotations

import json
import math
from pathlib import Path

from tests.report import factory

from ntprune.experiments.common.summary import summarise


def test_a_table_a_pair(tmp_path: Path) -> None:
    place = tmp_path / "mnist-usps"
    place.mkdir()
    report = factory.report()
    for name in ("report", "paper", "audit-source-only", "paper-source-only"):
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
    controls = [name for name in report.controls if name != "null"]
    assert list(rows) == [
        "what is attacked",
        "release",
        *controls,
        "ADMM on the source alone",
        "release, `paper/1`",
        *(f"{name}, `paper/1`" for name in controls),
        "ADMM on the source alone, `paper/1`",
    ]
    masked, bare = report.attacks["masked"], report.controls["unprotected"]
    assert rows["release"][0] == f"{100 * report.source.after:.2f} (0.80, 0.41 to 1.23)"
    lost = 100 * (report.source.before - bare.source)
    pruned = report.controls["magnitude"]
    assert rows["magnitude"][0] == f"{100 * pruned.source:.2f} (1.30, 0.62 to 1.98)"
    assert rows["unprotected"][0] == f"{100 * bare.source:.2f} ({lost:.2f})"
    decades = math.log10(report.budgets[-1] / report.budgets[0])
    assert masked.ci95 is None, "of a report that doesn't have it"
    assert rows["release"][3] == f"{masked.slc_auc:+.3f}"
    name, strongest = max(report.attacks.items(), key=lambda one: one[1].slc_auc)
    assert rows["release"][5] == f"`{name}` {strongest.slc_auc:+.3f}"
    low, high = (end * decades for end in bare.envelope.ci95)
    assert f"{bare.envelope.slc_auc:+.3f} ({low:+.3f} to {high:+.3f})" in rows["unprotected"][6]
    seen = ", ".join(dict.fromkeys(flag.name for flag in report.flags)) or "none"
    budgets = ", ".join(map(str, report.budgets))
    assert f"flags: {seen}; of `paper/1`, budgets {budgets}: {seen}." in text
