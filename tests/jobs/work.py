"""Jobs that are no audit: they count, wait, fail or die. Workers import them from here."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ntprune.errors import LayerCollapseError, SettingsError, TrainingDivergedError
from ntprune.jobs import Context, Job


@dataclass(frozen=True)
class Work(Job):
    """`spec`: `do` and `value`; every run leaves a mark in `context.produced`."""

    def run(self, context: Context) -> dict[str, Any]:
        """Do it."""
        do, value = self.spec["do"], self.spec["value"]
        context.produced.mkdir(parents=True, exist_ok=True)
        with (context.produced / f"{value}.runs").open("a") as marks:
            marks.write(f"{os.getpid()}\n")
        healed = (context.produced / "healed").exists()
        if do == "die" and not healed:
            os.kill(os.getpid(), signal.SIGKILL)
        if do == "die once" and len(runs(context.produced, value)) == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        if do == "sleep":
            time.sleep(60)
        if do == "err":
            raise SettingsError(f"setting {value} is wrong: change it")
        if do == "diverge" and not healed:
            raise TrainingDivergedError(f"attack {value} diverged")
        if do == "collapse" and not healed:
            raise LayerCollapseError(f"control {value} would lose a layer")
        if do == "break" and not healed:
            raise ZeroDivisionError("by\nnothing")
        if do == "fault":
            raise RuntimeError("CUDA error: device-side assert triggered")
        if do == "nan" and not healed:
            return {"value": float("nan")}
        import torch

        return {"value": value, "threads": torch.get_num_threads()}


def runs(folder: Path, value: int) -> list[int]:
    """Process ids of the runs of the job with `value`."""
    marks = folder / f"{value}.runs"
    return [int(line) for line in marks.read_text().split()] if marks.exists() else []


def work(do: str, value: int) -> Work:
    """A job."""
    return Work("tests.jobs.work:Work", {"do": do, "value": value})
