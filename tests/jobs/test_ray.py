"""Ray: what a cluster adds to the other engines. The contract is in tests/contracts."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.audit.small import run
from tests.jobs.work import runs, work
from tests.release.toys import PROTOCOL, base, protected, toy

from ntprune.errors import AuditError, SettingsError
from ntprune.jobs import Context, Failure, Ledger, make_engine

pytest.importorskip("ray")


def test_options_are_checked() -> None:
    with pytest.raises(SettingsError, match="gpus-per-job 2 is outside 0 to 1"):
        make_engine("ray", gpus_per_job=2)
    with pytest.raises(SettingsError, match="are for engine 'ray', not for 'process'"):
        make_engine("process", gpus_per_job=0.5)
    assert make_engine("ray").device("auto") == "cpu"
    assert make_engine("ray", gpus_per_job=0.25).device("auto") == "cuda"
    with pytest.raises(SettingsError, match="device 'cuda' does not go with"):
        make_engine("ray").device("cuda")


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nonsense"])
def test_no_cluster(address: str, tmp_path: Path) -> None:
    engine = make_engine("ray", address=address)
    with pytest.raises(SettingsError, match=f"no Ray cluster answers at '{address}'"):
        engine([work("add", 1)], Context(tmp_path, tmp_path), Ledger(tmp_path / "jobs"))


def test_a_cluster_of_other_versions(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In Ray's own words and lines, of which one is left, with the remedy."""
    import ray
    from ray._private.utils import check_version_info

    def init(**options: Any) -> None:
        there = {"ray_version": "1.0.0", "python_version": "3.8.1"}
        check_version_info(there, "node 10.0.0.2")

    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(SettingsError) as caught:
        make_engine("ray", address="auto")(
            [work("add", 1)], Context(tmp_path, tmp_path), Ledger(tmp_path / "jobs")
        )
    said = str(caught.value)
    assert said.startswith("the Ray cluster at 'auto' has other versions (")
    assert said.endswith(": install the same Ray and Python here as there")
    assert "Ray: 1.0.0 Python: 3.8.1" in said
    assert "\n" not in said


def test_what_else_ray_raises_is_not_called_a_mismatch(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import ray

    def init(**options: Any) -> None:
        raise RuntimeError("something else")

    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(RuntimeError, match="something else"):
        make_engine("ray", address="auto")(
            [work("add", 1)], Context(tmp_path, tmp_path), Ledger(tmp_path / "jobs")
        )


def test_without_ray(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(SettingsError, match=r"not installed: pip install ray"):
        make_engine("ray")([work("add", 1)], Context(tmp_path, tmp_path), Ledger(tmp_path / "j"))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes of one CPU beside a head that takes no job."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    root = Path(__file__).parents[2]
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(root), str(root / "src")])
    import ray
    from ray.cluster_utils import Cluster

    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    for _ in range(2):
        found.add_node(num_cpus=1)
    found.wait_for_nodes()
    yield found
    if ray.is_initialized():
        ray.shutdown()
    found.shutdown()
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before


@pytest.mark.slow
def test_failures_and_folders(cluster: Any, tmp_path: Path) -> None:
    context, ledger = Context(tmp_path / "store", tmp_path / "marks"), Ledger(tmp_path / "jobs")
    engine = make_engine("ray", address=cluster.address)
    with pytest.raises(AuditError, match=r"node \S+ does not see .*store: put --out"):
        engine([work("add", 1)], context, ledger)
    context.store.mkdir()
    greedy = make_engine("ray", address=cluster.address, gpus_per_job=0.5)
    with pytest.raises(SettingsError, match=r"books 0.5 GPU and one CPU, and no node has that"):
        greedy([work("add", 1)], context, ledger)
    jobs = [work("die", 1), work("die once", 2), work("break", 3), work("add", 4)]
    found = engine(jobs, context, ledger)
    assert [isinstance(outcome, Failure) for outcome in found] == [True, False, True, False]
    assert [len(runs(context.produced, value)) for value in (1, 2, 3, 4)] == [3, 2, 1, 1]


@pytest.mark.slow
def test_a_node_is_lost(cluster: Any, tmp_path: Path) -> None:
    """The audit goes on with the other node and ends with the bytes of `inline`."""
    protected(toy(0), toy(1)).save(tmp_path / "released")
    recipe = PROTOCOL.recipe.model_copy(update={"min_steps": 60})
    rules = PROTOCOL.model_copy(update={"recipe": recipe})
    assert base(toy(0))
    lost = threading.Event()

    def lose(stage: str, done: int, total: int, note: str = "") -> None:
        if stage == "attacks" and done >= 5 and not lost.is_set():
            lost.set()
            node = next(iter(cluster.worker_nodes))
            threading.Thread(target=cluster.remove_node, args=(node, False)).start()

    written = []
    for engine in ("inline", make_engine("ray", address=cluster.address)):
        out = tmp_path / (engine if isinstance(engine, str) else "ray")
        listen = {} if isinstance(engine, str) else {"progress": lose}
        run(tmp_path / "released", out, protocol=rules, engine=engine, **listen)
        report = (out / "report.json").read_text().partition('"cost"')[0]
        written.append((report, (out / "points.csv").read_bytes()))
    assert lost.is_set()
    assert len(cluster.worker_nodes) == 1
    assert written[0] == written[1]
