"""A source, a target, a model and a release on disk, and a way to type commands."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.release.toys import PROTOCOL, base, protected, save_npz

from ntprune.audit import PROTOCOLS
from ntprune.cli.main import main
from ntprune.domains import domain

_PROGRESS = re.compile(r"[\w ,:\[\]./-]+: \d+/\d+( .*)?")


@dataclass(frozen=True)
class Ended:
    """What a command left: exit code, stdout, and stderr without its progress lines."""

    code: int
    out: str
    said: list[str]


Typed = Callable[..., Ended]


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Not to be changed: source.npz, target.npz, base/ and release/ with its owner folder."""
    folder = tmp_path_factory.mktemp("cli")
    source, target = (domain(save_npz(folder / f"{n}.npz", i)) for i, n in enumerate(NAMES))
    base(source).save(folder / "base")
    protected(source, target).save(folder / "release")
    return folder


NAMES = ("source", "target")


@pytest.fixture
def typed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Typed:
    """Runs the command line in this process; `--protocol tiny` is a protocol of seconds."""
    monkeypatch.setitem(PROTOCOLS, PROTOCOL.name, PROTOCOL)

    def run(*arguments: str) -> Ended:
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        captured = capsys.readouterr()
        said = [line for line in captured.err.splitlines() if not _PROGRESS.fullmatch(line)]
        return Ended(int(caught.value.code or 0), captured.out, said)

    return run
