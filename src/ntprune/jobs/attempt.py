"""What becomes of a job: a result, a failure of that job alone, or a mistake that stops all."""

from __future__ import annotations

import json
import traceback
from dataclasses import dataclass
from typing import Any

from ntprune.errors import LayerCollapseError, NtpruneError, TrainingDivergedError
from ntprune.jobs.context import Context
from ntprune.jobs.job import Job

TRIES = 3  # of a job whose worker dies; one that kills three is not the victim of chance


@dataclass(frozen=True)
class Failure:
    """A job that gave no result; the other jobs go on.

    Attributes:
        reason: one line, the same on every engine.
        details: traceback, for whoever looks into it.
    """

    reason: str
    details: str = ""


DIED = Failure(f"its worker died {TRIES} times (out of memory, or killed)")

Outcome = dict[str, Any] | Failure


def attempt(job: Job, context: Context) -> Outcome | NtpruneError:
    """Run `job`; never raises.

    A mistake of the user's concerns every job, so it is handed back for the engine to raise. A
    training that diverged and a control with a layer that pruning would empty concern this job
    alone, and so does an error of ours.
    """
    try:
        result = job.run(context)
        json.dumps(result, allow_nan=False)
    except (TrainingDivergedError, LayerCollapseError) as error:
        return Failure(_line(error))
    except NtpruneError as error:
        return error
    except Exception as error:
        return Failure(f"{type(error).__name__}: {_line(error)}", traceback.format_exc())
    return result


def spoils_process(said: Outcome | NtpruneError) -> bool:
    """Whether a GPU reported a fault, after which every later call of the process fails, too."""
    return isinstance(said, Failure) and "CUDA error" in said.reason


def settle(said: Outcome | NtpruneError) -> Outcome:
    """The outcome of a job, unless it ran into a mistake of the user's.

    Raises:
        NtpruneError: that mistake.
    """
    if isinstance(said, NtpruneError):
        raise said
    return said


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or "no message"
