"""The stages of an experiment: each is the command a user would type, run and timed."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ntprune.errors import NtpruneError
from ntprune.experiments.common.machine import machine
from ntprune.release.atomic import write_file

Say = Callable[[str], None]
_PER_MB = 1024**2 if sys.platform == "darwin" else 1024  # of what the system counts memory in
_TAIL = 40  # lines of a command's stderr that are kept to explain a failure


class StageError(NtpruneError):
    """A stage that its command refused; the message is the command's line."""


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        code: its exit code; negative for a signal.
        said: the last lines of its stderr.
        peak_memory_mb: of its largest process, where that is known.
    """

    code: int
    said: Sequence[str]
    peak_memory_mb: int | None = None


Command = Callable[[Sequence[str], Say], Ended]


def typed(arguments: Sequence[str], say: Say) -> Ended:
    """Run `ntprune` with `arguments` in a process of its own; `say` hears its stderr."""
    said: deque[str] = deque(maxlen=_TAIL)
    with (
        _termination_interrupts(),
        subprocess.Popen(
            [sys.executable, "-m", "ntprune.cli.main", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        assert process.stderr is not None
        try:
            for line in process.stderr:
                said.append(line.rstrip())
                say(said[-1])
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        except BaseException:
            # Ctrl-C on a terminal reaches both; a signal to this process alone is handed on.
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
            process.send_signal(signal.SIGINT)
            process.wait()
            raise
    return Ended(process.returncode, tuple(said), round(usage.ru_maxrss / _PER_MB))


@contextlib.contextmanager
def _termination_interrupts() -> Iterator[None]:
    """Take SIGTERM for Ctrl-C: a command that outlived its experiment would meet the next one's."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only there can signals be handled
        return

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def run_stage(
    name: str, arguments: Sequence[str], folder: Path, *, say: Say, command: Command = typed
) -> None:
    """Run one command and note it, its seconds and its memory in `<folder>/<name>.json`.

    Raises:
        StageError: the command found a mistake of the user's.
        RuntimeError: it failed otherwise.
    """
    start = time.monotonic()
    ended = command(arguments, say)
    last = ended.said[-1].removeprefix("ntprune: ") if ended.said else ""
    if ended.code == 130:
        raise KeyboardInterrupt
    if ended.code == 2:
        raise StageError(last)
    if ended.code:
        raise RuntimeError(
            "\n".join((f"{shown(arguments)} ended with code {ended.code}:", *ended.said))
        )
    note(
        folder,
        name,
        command=shown(arguments),
        seconds=round(time.monotonic() - start, 1),
        peak_memory_mb=ended.peak_memory_mb,
        commit=machine()["commit"],  # a record is written later, perhaps by another
    )


def run_missing(
    stages: Mapping[str, tuple[Path, Sequence[str]]], folder: Path, *, command: Command = typed
) -> None:
    """Run the stages, by name, whose product is not there, and note each in `folder`.

    Args:
        stages: product and arguments of each, in the order in which they need one another.
        folder: of the notes.
        command: what runs a command; what it says goes to stderr.

    Raises:
        StageError, RuntimeError: as `run_stage`.
    """
    say = partial(print, file=sys.stderr, flush=True)
    for name, (product, arguments) in stages.items():
        if not product.exists():
            run_stage(name, arguments, folder, say=say, command=command)


def shown(arguments: Sequence[str]) -> str:
    """The command as it would be typed."""
    return f"ntprune {shlex.join(arguments)}"


def note(folder: Path, name: str, **facts: Any) -> None:
    """Write down what is known of stage `name`."""
    write_file(folder / f"{name}.json", json.dumps(facts, indent=1).encode())


def noted(folder: Path, name: str) -> dict[str, Any]:
    """What is known of stage `name`; nothing if it was stopped before the note was written."""
    file = folder / f"{name}.json"
    facts: dict[str, Any] = json.loads(file.read_bytes()) if file.exists() else {}
    return facts
