"""A small audit in this process, and what a test asks of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.release.toys import PROTOCOL, toy

from ntprune.audit import Audit, audit
from ntprune.domains import Domain
from ntprune.jobs import Context, Job, Outcome
from ntprune.jobs.inline import Inline


class Watched(Inline):
    """Remembers what it was asked to run."""

    def __init__(self) -> None:
        super().__init__()
        self.ran: list[Job] = []

    def execute(self, jobs: Sequence[Job], context: Context) -> Iterator[tuple[Job, Outcome]]:
        self.ran.extend(jobs)
        return super().execute(jobs, context)

    def attacks(self) -> Counter[str]:
        return Counter(job.spec["attack"] for job in self.ran if "attack" in job.spec)


def run(folder: Path, out: Path | None, target: Domain | None = None, **options: Any) -> Audit:
    values = {"protocol": PROTOCOL, "source": toy(0), "device": "cpu"} | options
    return audit(folder, target or toy(1), out=out, **values)


def document(out: Path) -> dict[str, Any]:
    """`report.json` without what time it took."""
    found = json.loads((out / "report.json").read_text())
    del found["cost"]
    return dict(found)
