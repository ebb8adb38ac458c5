"""Domains by content hash."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.release.toys import tamper, toy

from ntprune.errors import AuditError
from ntprune.jobs import Store


def test_round_trip(tmp_path: Path) -> None:
    given = replace(toy(0), flips=True, name="npz:ä[1,0]")
    name = Store(tmp_path / "store").put(given)
    found = Store(tmp_path / "store").get(name)
    assert found.content_hash == name == given.content_hash
    assert (found.name, found.classes, found.flips) == (given.name, given.classes, True)
    for split in ("train", "validation", "pool", "test"):
        assert torch.equal(getattr(found, split).images, getattr(given, split).images)
        assert torch.equal(getattr(found, split).labels, getattr(given, split).labels)


def test_what_is_there_is_not_written_again(tmp_path: Path) -> None:
    store = Store(tmp_path)
    file = tmp_path / f"{store.put(toy(0))}.safetensors"
    os.utime(file, (1, 1))
    store.put(toy(0))
    assert file.stat().st_mtime == 1
    store.put(toy(1))
    assert len(list(tmp_path.iterdir())) == 2


def test_absent(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match=r"abc.safetensors is missing: start the audit again"):
        Store(tmp_path).get("abc")


def test_damaged(tmp_path: Path) -> None:
    file = tmp_path / f"{Store(tmp_path).put(toy(0))}.safetensors"
    os.truncate(file, file.stat().st_size - 1)
    with pytest.raises(AuditError, match="is damaged: delete it and start the audit again"):
        Store(tmp_path).get(toy(0).content_hash)


def test_a_changed_file_is_no_longer_that_domain(tmp_path: Path) -> None:
    """A thief's score against swapped labels would look like protection."""
    store = Store(tmp_path)
    name = store.put(toy(0))
    whole = (tmp_path / f"{name}.safetensors").read_bytes()
    file = tmp_path / f"{name}.safetensors"
    at = len(whole) - 1
    file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]))
    with pytest.raises(AuditError, match="is damaged: delete it"):
        store.get(name)
    tamper(tmp_path, file.name, lambda tensors: tensors["test.labels"].zero_())
    with pytest.raises(AuditError, match="is damaged"):
        store.get(name)
