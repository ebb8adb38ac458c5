"""The file that a stopped run goes on from."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.release.toys import TINY, files

from ntprune.domains import Domain
from ntprune.errors import ConstraintError, NtpruneError, OutputError
from ntprune.methods import checkpoint, protect
from ntprune.methods.checkpoint import Checkpoint
from ntprune.release import Release

OURS = {"method": "ntp", "seed": 0, "setting lr": 0.1}


@pytest.fixture
def point(tmp_path: Path) -> Checkpoint:
    return Checkpoint(tmp_path / "partial", OURS)


def test_what_comes_back_is_what_was_saved(point: Checkpoint) -> None:
    """Strides too: a sum over another memory layout has other last bits."""
    tensor = torch.rand(2, 3, 4, 5).to(memory_format=torch.channels_last)
    draw = torch.Generator().manual_seed(3)
    optimiser = torch.optim.AdamW([torch.rand(3, requires_grad=True)], fused=True)
    state = {
        "t": [tensor, tensor > 0.5, torch.tensor(7)],
        "best": ((True, -0.1), torch.nn.BatchNorm1d(2).state_dict()),
        "draw": draw.get_state(),
        "optimiser": optimiser.state_dict(),
        "history": [{"phase": "admm", "drop_pp": 0.1}],
        "nothing": None,
    }
    assert point.load() == {}
    point.save(state)
    found = Checkpoint(point.file.parent, OURS).load()
    assert found.keys() == state.keys()
    assert all(torch.equal(a, b) for a, b in zip(found["t"], state["t"], strict=True))
    assert found["t"][0].stride() == tensor.stride()
    assert found["best"][0] == (True, -0.1)
    assert torch.equal(found["draw"], draw.get_state())
    assert found["history"] == state["history"]
    assert found["optimiser"] == optimiser.state_dict()


@pytest.mark.parametrize(
    ("theirs", "words"),
    [
        (OURS | {"seed": 1}, "other values of seed: give the same"),
        (OURS | {"method": "other", "setting lr": 0.2}, "other values of method, setting lr: "),
        (OURS | {"setting new": 1}, "other values of setting new: "),
    ],
)
def test_the_run_of_another_command_is_refused_and_kept(
    point: Checkpoint, theirs: dict[str, Any], words: str
) -> None:
    Checkpoint(point.file.parent, theirs).save({"a": 1})
    before = point.file.read_bytes()
    for attempt in (point.check, point.load):
        with pytest.raises(OutputError, match=words) as caught:
            attempt()
        assert f"{point.file.parent} holds an unfinished run" in str(caught.value)
        assert "remove that folder or choose another --out" in str(caught.value)
    assert point.file.read_bytes() == before


class Code:
    """Runs a command when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("was-run",)


def sealed(rest: bytes) -> bytes:
    head = {"identity": OURS, "sha256": hashlib.sha256(rest).hexdigest()}
    return json.dumps(head).encode() + b"\n" + rest


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:100],
        lambda data: data[:-1],
        lambda data: data[:-500] + b"\0" + data[-499:],
        lambda data: b"[1, 2]\n" + data,
        lambda data: b"\x80\x04" + data,
        lambda data: sealed(b"no state"),
        lambda data: sealed(pickle.dumps(Code(), protocol=2)),
    ],
)
def test_a_damaged_file_is_said_to_be_one(
    point: Checkpoint,
    damage: Callable[[bytes], bytes],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    point.save({"a": torch.rand(1000)})
    point.file.write_bytes(damage(point.file.read_bytes()))
    with pytest.raises(OutputError, match=r"state is damaged, so the run cannot go on: remove"):
        point.load()
    assert not (tmp_path / "was-run").exists()


def test_a_write_that_fails_keeps_the_state_before(
    point: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    point.save({"a": 1})
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OutputError, match="no space left"):
        Checkpoint(point.file.parent, OURS).save({"a": 2})
    assert point.load() == {"a": 1}
    assert list(files(point.file.parent)) == ["state"]


def test_a_disk_that_fills_up_on_the_way(point: Checkpoint) -> None:
    """Inside torch's own writer, too, which an error would bring down with the process."""
    resource = pytest.importorskip("resource")
    point.save({"a": 1})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        with pytest.raises(OutputError, match="cannot write"):
            Checkpoint(point.file.parent, OURS).save({"a": torch.zeros(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert point.load() == {"a": 1}
    assert list(files(point.file.parent)) == ["state"]


@pytest.mark.parametrize("writes", [1, 2, 9, 20])
def test_an_interrupt_on_the_way(
    writes: int, point: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays one, wherever in torch's own writer it comes."""
    point.save({"a": 1})
    left = [writes]
    write = checkpoint._Hashed.write

    def stop(self: Any, data: bytes) -> int:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        return write(self, data)

    monkeypatch.setattr(checkpoint._Hashed, "write", stop)
    with pytest.raises(KeyboardInterrupt):
        Checkpoint(point.file.parent, OURS).save({"a": torch.zeros(100_000)})
    assert point.load() == {"a": 1}
    assert list(files(point.file.parent)) == ["state"]


def test_drafts_of_killed_processes_go(point: Checkpoint) -> None:
    point.save({"a": 1})
    for name in (".state.x1", ".state.x2", "mine"):
        (point.file.parent / name).touch()
    assert point.load() == {"a": 1}
    assert sorted(files(point.file.parent)) == ["mine", "state"]


def test_writing_takes_a_small_share_of_the_time(
    point: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write of one second; then the next is due after 50."""
    clock = iter([0.0, 1.0, 50.9, 51.1, 52.1])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    for number in (1, 2):
        point.save({"number": number})
    assert point.load() == {"number": 1}
    point.save({"number": 3})
    assert point.load() == {"number": 3}


def test_a_run_that_ends_with_an_error_of_its_own_is_not_kept(
    tiny_base: Release, tiny_source: Domain, tiny_target: Domain, tmp_path: Path
) -> None:
    absurd = TINY | {"max_source_drop": 0.0, "sparsity": 0.97}
    with pytest.raises(ConstraintError):
        protect(
            tiny_base, tiny_source, tiny_target, device="cpu", checkpoint=tmp_path / "p", **absurd
        )
    assert not (tmp_path / "p").exists()


def test_every_method_refuses_the_run_of_another(
    tiny_base: Release, tiny_source: Domain, tiny_target: Domain, tmp_path: Path
) -> None:
    place = tmp_path / "p"

    def run(method: str, **settings: Any) -> Release:
        data = (tiny_base, tiny_source, tiny_target)
        return protect(*data, method=method, device="cpu", checkpoint=place, **settings)

    release = run("ntp", **TINY)
    for method, words in (("none", "method"), ("random", "method"), ("ntp", "setting rounds")):
        with pytest.raises(NtpruneError, match=words):
            run(method)
    (place / "mine").touch()
    release.save(tmp_path / "out")
    assert list(files(place)) == ["mine"]
