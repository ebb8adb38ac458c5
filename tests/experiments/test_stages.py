"""Stages are commands: how they end decides what happens next."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from ntprune.experiments.common.stages import (
    Command,
    Ended,
    Say,
    StageError,
    noted,
    run_stage,
    typed,
)


def ending(code: int, *said: str) -> Command:
    def run(arguments: Sequence[str], say: Say) -> Ended:
        for line in said:
            say(line)
        return Ended(code, said, 123)

    return run


def stage(command: Command, folder: Path) -> list[str]:
    heard: list[str] = []
    run_stage("protect", ["protect", "a b"], folder, say=heard.append, command=command)
    return heard


def test_a_stage_is_noted_with_its_command(tmp_path: Path) -> None:
    assert stage(ending(0, "one", "two"), tmp_path) == ["one", "two"]
    facts = noted(tmp_path, "protect")
    assert facts["command"] == "ntprune protect 'a b'"
    assert facts["peak_memory_mb"] == 123
    assert facts["seconds"] >= 0
    assert noted(tmp_path, "audit") == {}


def test_a_users_mistake_is_handed_on_in_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"^no disk: buy one$"):
        stage(ending(2, "half-way", "ntprune: no disk: buy one"), tmp_path)
    assert noted(tmp_path, "protect") == {}


def test_a_failure_of_ours_shows_what_was_said(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"(?s)protect 'a b' ended with code 1:.*ZeroDivision"):
        stage(ending(1, "Traceback", "ZeroDivisionError"), tmp_path)
    with pytest.raises(RuntimeError, match="code -9"):
        stage(ending(-9), tmp_path)


def test_an_interrupt_of_the_command_is_one_of_the_experiment(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        stage(ending(130, "ntprune: stopped"), tmp_path)


def test_a_command_is_typed_as_a_user_would() -> None:
    heard: list[str] = []
    ended = typed(["methods", "--no-such"], heard.append)
    assert ended.code == 2
    assert list(ended.said) == heard
    assert heard[0].startswith("ntprune: No such option")
    assert (ended.peak_memory_mb or 0) > 1


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_experiment_alone_stops_the_command(
    sent: signal.Signals, tmp_path: Path
) -> None:
    demo = ["demo", "--device", "cpu", "--out", str(tmp_path / "demo")]
    script = (
        "from ntprune.experiments.common.stages import typed\n"
        f"typed({demo!r}, lambda line: print(line, flush=True))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline().startswith("pretraining: ")
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
            (child,) = children.read_text().split()
            process.send_signal(sent)
            said = process.stdout.read()
        finally:
            process.kill()
    with pytest.raises(ProcessLookupError):
        os.kill(int(child), 0)
    assert "Traceback" not in said
