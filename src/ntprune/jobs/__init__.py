"""Units of work that can be lost and repeated: specs, ledger, store, engines."""

from ntprune.jobs.attempt import Failure, Outcome
from ntprune.jobs.context import Context
from ntprune.jobs.engine import Engine
from ntprune.jobs.engines import engine_names, make_engine
from ntprune.jobs.job import Job
from ntprune.jobs.ledger import Ledger
from ntprune.jobs.remaining import span
from ntprune.jobs.store import Store

__all__ = [
    "Context",
    "Engine",
    "Failure",
    "Job",
    "Ledger",
    "Outcome",
    "Store",
    "engine_names",
    "make_engine",
    "span",
]
