"""Jobs that are no audit: they count, wait, fail or die. Workers import them from here."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ntprune.errors import SettingsError
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
        if do == "die" and not (context.produced / "healed").exists():
            self._wait_for(context.produced / "finished")
            os.kill(os.getpid(), signal.SIGKILL)
        if do == "sleep":
            time.sleep(60)
        if do == "err":
            raise SettingsError(f"setting {value} is wrong: change it")
        import torch

        return {"value": value, "threads": torch.get_num_threads()}

    @staticmethod
    def _wait_for(file: Path) -> None:
        for _ in range(200):
            if file.exists():
                return
            time.sleep(0.05)


def work(do: str, value: int) -> Work:
    """A job."""
    return Work("tests.jobs.work:Work", {"do": do, "value": value})
