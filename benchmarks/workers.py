"""Jobs a minute: two `process` workers against one, one thread a job."""

from __future__ import annotations

import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.timing import seconds
from ntprune.audit.plan import Plan
from ntprune.audit.protocol import QUICK
from ntprune.domains import domain
from ntprune.jobs import Context, Job, Ledger, Store, make_engine
from ntprune.methods import pretrain

JOBS, ROUNDS = 16, 3


@dataclass(frozen=True)
class Work:
    """Jobs, and where their data is."""

    jobs: list[Job]
    context: Context


def prepared(place: Path, jobs: int) -> Work:
    """As many attacks with 256 samples each; everything they need below the folder `place`."""
    source, target = domain("syndigits"), domain("blended:optdigits")
    release = pretrain("convnet", source, epochs=1, width=32, device="cpu")
    release.save(place / "base")
    store = Store(place / "store")
    store.put(target)
    plan = Plan(
        protocol=QUICK.model_copy(update={"seeds": jobs}),
        budgets=(256,),
        target=target.content_hash,
        source=source.content_hash,
        classes=target.classes,
        release=release,
        base=release.card.weights_sha256,
    )
    attacks = plan.attack_jobs("finetune-new-head", plan.weights)
    return Work(attacks, Context(store.folder, place / "made", {plan.weights: place / "base"}))


def measure() -> dict[str, Any]:
    """Median jobs a minute of both, the start of their workers counted."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        work = prepared(place, JOBS)

        def run(workers: int, number: int) -> float:
            ledger = Ledger(place / f"{workers}-{number}")
            engine = make_engine("process", workers)
            return seconds(lambda: engine(work.jobs, work.context, ledger))

        pairs = [(run(2, n), run(1, n)) for n in range(ROUNDS)]
    minute = 60 * JOBS
    return {
        "jobs": JOBS,
        "process_2_jobs_per_minute": round(minute / statistics.median(two for two, _ in pairs), 1),
        "process_1_jobs_per_minute": round(minute / statistics.median(one for _, one in pairs), 1),
        "ratio": round(statistics.median(one / two for two, one in pairs), 3),
    }
