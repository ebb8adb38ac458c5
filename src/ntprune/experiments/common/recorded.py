"""What is kept of one audited release."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ntprune.experiments.common.machine import machine
from ntprune.experiments.common.stages import noted
from ntprune.release.atomic import write_file


def record(
    name: str, release: Path, audit: Path, stages: Mapping[str, tuple[Path, str]], results: Path
) -> None:
    """Copy report, points, history and card to the folder `results`, with what the stages took.

    Args:
        name: what it was.
        release, audit: their folders.
        stages: for each the folder and the name of its note (`stages.noted`).
        results: made if it is not there.
    """
    results.mkdir(parents=True, exist_ok=True)
    for file in ("report.json", "points.csv", "history.json"):
        shutil.copy(audit / file, results / file)
    shutil.copy(release / "card.json", results / "card.json")
    known = {stage: facts for stage, note in stages.items() if (facts := noted(*note))}
    document: dict[str, Any] = {"pair": name, "machine": machine(), "stages": known}
    write_file(results / "run.json", json.dumps(document, indent=1).encode() + b"\n")
