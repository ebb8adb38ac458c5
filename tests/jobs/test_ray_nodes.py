"""Which nodes of a cluster count. The cluster is made up, so Ray needn't be installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.jobs.work import work

from ntprune.errors import AuditError, SettingsError
from ntprune.jobs import Context, Ledger
from ntprune.jobs.ray import Ray


def node(alive: bool = True, **resources: float) -> dict[str, Any]:
    return {"Alive": alive, "Resources": resources}


@pytest.mark.parametrize(
    ("nodes", "cpu", "quarter_gpu"),
    [
        ([node(CPU=4), node(CPU=2, GPU=1)], 6, 2),
        ([node(CPU=8, GPU=1), node(False, CPU=8, GPU=1)], 8, 4),
        ([node(CPU=8), node(GPU=2)], 8, 0),
        ([node(memory=1.0)], 0, 0),
        ([], 0, 0),
    ],
)
def test_a_job_fits_into_one_node(nodes: list[dict[str, Any]], cpu: int, quarter_gpu: int) -> None:
    cluster = SimpleNamespace(nodes=lambda: nodes)
    assert Ray()._slots(cluster) == cpu
    assert Ray(gpus_per_job=0.25)._slots(cluster) == quarter_gpu


class Emptying:
    """A cluster whose only node is gone after the first look; no job ever ends."""

    def __init__(self) -> None:
        self.looks = 0
        self.cancelled = 0

    def nodes(self) -> list[dict[str, Any]]:
        self.looks += 1
        return [node(CPU=1)] if self.looks <= 4 else []

    def remote(self, **_: Any) -> Any:
        return lambda task: SimpleNamespace(remote=lambda *_: object())

    def wait(self, waiting: list[Any], num_returns: int, timeout: float) -> Any:
        assert timeout < float("inf")
        return [], waiting

    def cancel(self, reference: Any, force: bool) -> None:
        self.cancelled += 1


def test_nobody_waits_for_a_cluster_without_nodes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Emptying()

    @contextmanager
    def connected(_: Ray) -> Iterator[Emptying]:
        yield cluster

    monkeypatch.setattr(Ray, "_connected", connected)
    jobs = [work("add", 1), work("add", 2), work("add", 3)]
    context = Context(tmp_path, tmp_path)
    with pytest.raises(AuditError, match=r"jobs wait for nothing; add a node"):
        Ray()(jobs, context, Ledger(tmp_path / "jobs"))
    assert cluster.cancelled > 0
    with pytest.raises(SettingsError, match="no node has that"):
        Ray()(jobs, context, Ledger(tmp_path / "jobs"))
