"""What commands print: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ntprune.errors import OutputError

if TYPE_CHECKING:
    from ntprune.engine import Progress


def emit(as_json: bool, document: dict[str, Any], lines: Sequence[str]) -> None:
    """Print `document` as JSON, or `lines`.

    Raises:
        OutputError: there is no room where stdout leads to.
    """
    try:
        print(json.dumps(document, indent=2) if as_json else "\n".join(lines), flush=True)
    except OSError as error:
        # Python tries again when it ends, and would say so.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return  # whoever reads has read enough
        reason = (error.strerror or str(error)).lower()
        raise OutputError(
            f"cannot write to stdout: {reason}; what was made is there: free space"
        ) from error


def workers_or_cores(workers: int, device: str = "cpu") -> int:
    """`workers`; if it is 0, the number of cores this process may use.

    Where jobs don't compute on the CPU it is 1: as many processes as cores would share one GPU, and
    its memory.
    """
    if workers:
        return workers
    if device != "cpu":
        from ntprune.engine import resolve_device

        if resolve_device(device).type != "cpu":
            return 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class StoppedError(Exception):
    """Ctrl-C; the message says how far the work was."""


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A bar on a terminal, plain lines elsewhere; both on stderr.

    Raises:
        StoppedError: in place of `KeyboardInterrupt`.
    """
    last = _Last()
    try:
        with _display() as show:
            yield last.then(show)
    except KeyboardInterrupt as interrupt:
        raise StoppedError(last.words) from interrupt


@contextmanager
def _display() -> Iterator[Progress]:
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Task, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars
    from rich.text import Text

    class Remaining(TimeRemainingColumn):
        """Silent where the note says it better: a count doesn't know that jobs differ."""

        def render(self, task: Task) -> Text:
            return Text() if task.fields["note"].endswith(" left") else super().render(task)

    bars = Bars(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        Remaining(),
        TextColumn("{task.fields[note]}", markup=False),
        console=Console(stderr=True),
    )
    tasks: dict[str, Any] = {}

    def show(stage: str, done: int, total: int, note: str = "") -> None:
        if stage not in tasks:
            tasks[stage] = bars.add_task(stage, total=total, note=note)
        bars.update(tasks[stage], completed=done, total=total, note=note)

    with bars:
        yield show


@dataclass
class _Last:
    """What was last heard."""

    words: str = "at the beginning"

    def then(self, show: Progress) -> Progress:
        """Remember, and hand on to `show`."""

        def listen(stage: str, done: int, total: int, note: str = "") -> None:
            self.words = f"with {stage} {done}/{total} done"
            show(stage, done, total, note)

        return listen


class _Lines:
    """One line a stage at its start and end, and at most one every five seconds between."""

    def __init__(self) -> None:
        self._last = 0.0

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        now = time.monotonic()
        if 0 < done < total and now - self._last < 5:
            return
        self._last = now
        print(f"{stage}: {done}/{total} {note}".rstrip(), file=sys.stderr, flush=True)
