"""`ntprune protect` that is stopped and started again."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.conftest import Typed
from tests.release.toys import TINY, files

from ntprune.methods.ntp.finish import Finish
from ntprune.methods.ntp.rounds import Rounds

COMMAND = "protect {place}/base --target npz:{place}/target.npz --device cpu --out {tmp}/"


@pytest.fixture
def command(place: Path, tmp_path: Path) -> list[str]:
    """The command up to the name of its output."""
    settings = [part for item in TINY.items() for part in ("--set", "{}={}".format(*item))]
    words = COMMAND.format(place=place, tmp=tmp_path).split()
    return words[:1] + settings + words[1:]


def typing_ctrl_c(monkeypatch: pytest.MonkeyPatch, phase: type[Rounds] | type[Finish]) -> None:
    """In the second unit of `phase`."""
    advance = phase.advance

    def stop(self: Rounds | Finish) -> float:
        if self.done:
            raise KeyboardInterrupt
        return advance(self)  # type: ignore[arg-type]

    monkeypatch.setattr(phase, "advance", stop)


@pytest.mark.parametrize(("phase", "where"), [(Rounds, "ADMM rounds 1/2"), (Finish, "finish 1/2")])
def test_an_interrupt_says_how_far_it_was_and_the_same_command_goes_on(
    phase: type[Rounds] | type[Finish],
    where: str,
    command: list[str],
    tmp_path: Path,
    typed: Typed,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    *rest, out = command
    assert typed(*rest, f"{out}whole").code == 0
    with monkeypatch.context() as patch:
        typing_ctrl_c(patch, phase)
        stopped = typed(*rest, f"{out}release")
    assert stopped.code == 130
    assert stopped.said == [
        f"ntprune: stopped with {where} done, nothing half-written left; run it again, audits and "
        "protections go on"
    ]
    assert sorted(files(tmp_path / "release.partial")) == ["state"]
    assert not (tmp_path / "release").exists()
    assert not (tmp_path / "release.owner").exists()

    other = typed(*rest, f"{out}release", "--seed", "1")
    assert other.code == 2
    assert len(other.said) == 1
    assert (
        "release.partial holds an unfinished run that began with other values of seed"
        in (other.said[0])
    )

    again = typed(*rest, f"{out}release")
    assert (again.code, again.said) == (0, [])
    assert files(tmp_path / "release") == files(tmp_path / "whole")
    assert not (tmp_path / "release.partial").exists()


def test_a_release_that_is_there_is_refused_as_ever(
    command: list[str], tmp_path: Path, typed: Typed
) -> None:
    *rest, out = command
    (tmp_path / "release").mkdir()
    (tmp_path / "release" / "mine").touch()
    ended = typed(*rest, f"{out}release")
    assert ended.code == 2
    assert "release exists already: remove it or choose another --out" in ended.said[0]
    assert not (tmp_path / "release.partial").exists()
