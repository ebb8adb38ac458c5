"""Ids of jobs, and the ledger of their results."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ntprune.errors import AuditError, OutputError
from ntprune.jobs import Context, Job, Ledger
from ntprune.jobs import job as job_module

SPEC: dict[str, Any] = {"a": 1, "b": [0.1, None, "é"], "c": {"d": True, "e": -2}}


def job(value: int) -> Job:
    return Job("ntprune.x:y", {"value": value})


def test_the_id_is_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """An id that changes within a version throws every ledger away; another version has its own."""
    monkeypatch.setattr(job_module, "_VERSIONS", {"ntprune": "0.1.0", "torch": "2.15.0"})
    assert Job("ntprune.x:y", SPEC).id == "85a4365879c749bd148b8e59b75889c0"
    monkeypatch.setattr(job_module, "_VERSIONS", {"ntprune": "0.1.0", "torch": "2.16.0"})
    assert Job("ntprune.x:y", SPEC).id != "85a4365879c749bd148b8e59b75889c0"


def test_the_id_depends_on_the_content_alone() -> None:
    backwards = {k: SPEC[k] for k in reversed(SPEC)} | {"c": {"e": -2, "d": True}}
    assert Job("ntprune.x:y", backwards).id == Job("ntprune.x:y", SPEC).id
    others = [Job("ntprune.x:z", SPEC), *(Job("ntprune.x:y", SPEC | {k: 3}) for k in (*SPEC, "f"))]
    assert len({other.id for other in others} - {Job("ntprune.x:y", SPEC).id}) == 5
    with pytest.raises(ValueError, match="not JSON compliant"):
        _ = Job("ntprune.x:y", {"a": float("nan")}).id


@pytest.mark.parametrize("name", ["os:getcwd", "ntprunes.x:y", "posix:abort", ".ntprune:x"])
def test_functions_of_other_packages_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="functions of ntprune only"):
        Job(name, {}).run(Context(tmp_path, tmp_path))


def test_put_and_get(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "deep" / "jobs")
    assert ledger.get(job(1)) is None
    assert not (tmp_path / "deep").exists()
    ledger.put(job(1), {"accuracy": 0.1 + 0.2, "lr": None})
    assert ledger.get(job(1)) == {"accuracy": 0.30000000000000004, "lr": None}
    assert Ledger(tmp_path / "deep" / "jobs").get(job(1)) == ledger.get(job(1))
    assert [path.name for path in ledger.folder.iterdir()] == [f"{job(1).id}.json"]


def test_the_result_of_another_job_is_refused(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.put(job(1), {"accuracy": 0.9})
    (tmp_path / f"{job(1).id}.json").rename(tmp_path / f"{job(2).id}.json")
    with pytest.raises(AuditError, match="is damaged: delete it"):
        ledger.get(job(2))


def test_missing_names_each_once_in_order(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.put(job(2), {})
    wanted = [job(3), job(1), job(2), job(3), job(1)]
    assert ledger.missing(wanted) == [job(3), job(1)]


def test_a_write_that_fails_is_a_job_not_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(tmp_path)

    def stop(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", stop)
        with pytest.raises(OutputError, match="no space left"):
            ledger.put(job(1), {})
    assert ledger.missing([job(1)]) == [job(1)]
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="not JSON compliant"):
        ledger.put(job(1), {"loss": float("nan")})
    assert not list(tmp_path.iterdir())


def test_a_draft_is_no_result(tmp_path: Path) -> None:
    (tmp_path / f".{job(1).id}.json.abc123").write_text("{")
    assert Ledger(tmp_path).missing([job(1)]) == [job(1)]
    assert Ledger(tmp_path).get(job(1)) is None


@pytest.mark.parametrize("content", [b"", b'{"result": ', b"[]", b"{}", b"\xff\xfe"])
def test_a_damaged_result_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / f"{job(1).id}.json").write_bytes(content)
    with pytest.raises(AuditError, match=rf"{job(1).id}.json is damaged: delete it") as caught:
        Ledger(tmp_path).get(job(1))
    assert "\n" not in str(caught.value)
