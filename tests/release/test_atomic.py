"""Writes that fail leave nothing behind, and say so in one line."""

from __future__ import annotations

import copy
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tests.release.toys import base, files, protected, save_npz, toy

from ntprune.errors import OutputError
from ntprune.release import load
from ntprune.release.atomic import require_new, write_file, write_folder


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_an_error_inside_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    def fail() -> None:
        with write_folder(tmp_path / "out") as draft:
            write_file(draft / "half", b"x")
            raise error

    with pytest.raises(error):
        fail()
    assert not list(tmp_path.iterdir())


def test_a_folder_appears_whole(tmp_path: Path) -> None:
    with write_folder(tmp_path / "deep" / "out") as draft:
        write_file(draft / "a", b"1")
        assert not (tmp_path / "deep" / "out").exists()
    assert files(tmp_path) == {"deep/out/a": b"1"}
    assert (tmp_path / "deep" / "out").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "deep" / "out" / "a").stat().st_mode & 0o777 == 0o644


def test_the_umask_holds(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        protected(toy(0), toy(1)).save(tmp_path / "out")
    finally:
        os.umask(before)
    modes = {path.stat().st_mode & 0o077 for path in tmp_path.rglob("*")}
    assert modes == {0}


@pytest.mark.parametrize("kind", ["link", "dangling", "here", "above"])
def test_what_cannot_be_replaced_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    here = tmp_path / "here"
    (here / "empty").mkdir(parents=True)
    (here / "link").symlink_to(here / "empty", target_is_directory=True)
    (here / "dangling").symlink_to(here / "nothing")
    monkeypatch.chdir(here / "empty")
    named = {"here": Path(), "above": Path("..") / "empty" / ".."}
    path = named.get(kind, here / kind)
    with pytest.raises(OutputError, match="choose a new one, for instance --out"):
        require_new(path)
    with pytest.raises(OutputError, match="which a finished folder cannot take the place of"):
        base(toy(0)).save(path)
    assert files(tmp_path) == {}


def test_a_mounted_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "is_mount", lambda path: path == tmp_path)
    with pytest.raises(OutputError, match="a mounted folder"):
        require_new(tmp_path)
    require_new(tmp_path / "out")


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    protected(toy(0), toy(1)).save(tmp_path / "out")
    assert load(tmp_path / "out").card.method == "ntp"


def test_a_folder_in_use_is_kept(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("precious")
    for attempt in (lambda p: require_new(p), lambda p: base(toy(0)).save(p)):
        with pytest.raises(OutputError, match=r"out exists already: remove it or choose another"):
            attempt(tmp_path / "out")
    (tmp_path / "file").write_text("precious")
    with pytest.raises(OutputError, match="file exists already"):
        base(toy(0)).save(tmp_path / "file")
    assert files(tmp_path) == {"out/mine": b"precious", "file": b"precious"}


def test_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    for path in (tmp_path / "file" / "out", tmp_path / "file" / "deep" / "out"):
        with pytest.raises(OutputError, match=r": (not a dir|file exists)") as caught:
            require_new(path)
        assert "\n" not in str(caught.value)
        with pytest.raises(OutputError, match=r"not a directory|file exists"):
            write_file(path, b"x")
    assert files(tmp_path) == {"file": b"precious"}


def test_a_failed_rename_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_file(tmp_path / "a", b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OutputError, match="no space left on device; nothing half-written"):
        write_file(tmp_path / "a", b"new")
    with pytest.raises(OutputError, match="no space left"):
        base(toy(0)).save(tmp_path / "out")
    assert files(tmp_path) == {"a": b"old"}
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_failed_owner_folder_leaves_no_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out.owner").mkdir()
    (tmp_path / "out.owner" / "mine").write_text("precious")
    with pytest.raises(OutputError, match=r"out\.owner exists already"):
        protected(toy(0), toy(1)).save(tmp_path / "out")
    assert files(tmp_path) == {"out.owner/mine": b"precious"}


def test_the_owner_folder_of_another_model_is_not_taken_for_ours(tmp_path: Path) -> None:
    base(toy(2)).save(tmp_path / "out.owner")
    with pytest.raises(OutputError, match=r"out\.owner holds another model"):
        protected(toy(0), toy(1)).save(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_nor_is_that_of_one_that_measures_alike(tmp_path: Path) -> None:
    """A model that was never saved is known by its weights, not by its accuracy alone."""
    first = copy.deepcopy(protected(toy(0), toy(1)))
    assert first.base is not None
    first.base.card = first.base.card.model_copy(update={"weights_sha256": ""})
    same, other = copy.deepcopy(first), copy.deepcopy(first)
    first.save(tmp_path / "out")
    shutil.rmtree(tmp_path / "out")
    assert other.base is not None
    with torch.no_grad():
        next(other.base.model.module.parameters()).mul_(2)
    with pytest.raises(OutputError, match=r"out\.owner holds another model"):
        other.save(tmp_path / "out")
    same.save(tmp_path / "out")


FULL = """
import resource, signal, sys
from ntprune.cli.main import main
import torch, ntprune.methods, ntprune.release
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
main(sys.argv[1:])
"""


def test_a_full_disk(tmp_path: Path) -> None:
    name = save_npz(tmp_path / "toy.npz", 0)
    before = files(tmp_path)
    options = ["--width=4", "--epochs=1", "--batch=64", "--device=cpu", "--out"]
    command = ["pretrain", "--source", name, *options, str(tmp_path / "out")]
    ended = subprocess.run(
        [sys.executable, "-c", FULL, *command], capture_output=True, text=True, timeout=60
    )
    said = [line for line in ended.stderr.splitlines() if not line.startswith("pretraining: ")]
    assert ended.returncode == 2, ended.stderr
    assert len(said) == 1
    assert "file too large; nothing half-written was left: free space" in said[0]
    assert files(tmp_path) == before
    assert {path.name for path in tmp_path.iterdir()} == {"toy.npz"}
