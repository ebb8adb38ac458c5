"""Every engine through one table: same results, resumed where it stopped, errors as they were."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from ntprune.domains import Domain
from ntprune.engine import Resident, accuracy
from ntprune.errors import SettingsError, UnknownNameError
from ntprune.jobs import Context, Engine, Failure, Job, Ledger, Store, engine_names, make_engine
from ntprune.methods import make_method
from ntprune.release import Release

HAS_RAY = importlib.util.find_spec("ray") is not None
TABLE = [
    "inline",
    "process",
    pytest.param("ray", marks=pytest.mark.skipif(not HAS_RAY, reason="ray is not installed")),
]
ACCURACY = "ntprune.audit.tasks:source_accuracy"


@dataclass
class Work:
    """Three light jobs, where their data is, and what they should find."""

    jobs: list[Job]
    context: Context
    expected: list[float]


def test_the_table_has_every_engine() -> None:
    rows = [row if isinstance(row, str) else row.values[0] for row in TABLE]
    assert engine_names() == sorted(rows), "give every engine a row"


@pytest.fixture(autouse=True)
def one_ray(request: pytest.FixtureRequest) -> None:
    """Ray is started once for all rows of this table."""
    if "name" in request.fixturenames and request.getfixturevalue("name") == "ray":
        request.getfixturevalue("running_ray")


@pytest.fixture(scope="module")
def running_ray() -> Iterator[None]:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray

    ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def work(
    tiny_base: Release,
    tiny_source: Domain,
    tiny_target: Domain,
    tmp_path_factory: pytest.TempPathFactory,
) -> Work:
    folder = tmp_path_factory.mktemp("engines")
    pruned = make_method("magnitude", sparsity=0.9, steps=5, batch=32)(tiny_base, tiny_source)
    pruned.base = None
    places, wanted, releases = {}, [], []
    store = Store(folder / "store")
    for number, release in enumerate((tiny_base, pruned)):
        release.save(folder / f"release{number}")
        places[release.card.weights_sha256] = folder / f"release{number}"
        releases.append(release)
    jobs = []
    for release, domain in (
        (releases[0], tiny_source), (releases[0], tiny_target), (releases[1], tiny_source),
    ):  # fmt: skip
        spec = {"release": release.card.weights_sha256, "source": store.put(domain)}
        jobs.append(Job(ACCURACY, spec))
        test = Resident.of(domain.test, release.model.preprocessing, torch.device("cpu"))
        wanted.append(accuracy(release.model, test))
    return Work(jobs, Context(folder / "store", folder / "produced", places), wanted)


def engine(name: str) -> Engine:
    return make_engine(name, 2)


@pytest.mark.parametrize("name", TABLE)
def test_results_come_in_order_and_only_what_is_missing_is_run(
    name: str, work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(tmp_path / "ledger")
    mark = {"accuracy": -1.0, "mark": "from an earlier run"}
    ledger.put(work.jobs[1], mark)
    seen: list[tuple[int, int]] = []
    runner = engine(name)
    given = [*work.jobs, work.jobs[0]]  # a job that comes twice is run once
    results = runner(
        given,
        work.context,
        ledger,
        progress=lambda s, done, total, note="": seen.append((done, total)),
    )
    assert len(results) == 4
    assert results[1] == mark
    assert results[0] == results[3]
    assert [results[i]["accuracy"] for i in (0, 2)] == [work.expected[i] for i in (0, 2)]
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert len(list((tmp_path / "ledger").glob("*.json"))) == 3

    before = {f.name: f.read_bytes() for f in (tmp_path / "ledger").iterdir()}
    handed: list[Any] = []
    monkeypatch.setattr(
        type(runner), "execute", lambda self, jobs, context: iter(handed.extend(jobs) or ())
    )
    assert runner(given, work.context, ledger) == results
    assert handed == []
    assert {f.name: f.read_bytes() for f in (tmp_path / "ledger").iterdir()} == before


@pytest.mark.parametrize("name", TABLE)
def test_an_error_arrives_as_it_was_raised(name: str, work: Work, tmp_path: Path) -> None:
    spec = {
        "attack": "no-such-attack",
        "release": work.jobs[0].spec["release"],
        "target": work.jobs[1].spec["source"],
        "n": 8,
        "seed": 0,
        "recipe": {},
    }
    bad = Job("ntprune.audit.tasks:attack_point", spec)
    ledger = Ledger(tmp_path / "ledger")
    with pytest.raises(UnknownNameError, match=r"unknown attack 'no-such-attack'.*choose one of"):
        engine(name)([bad], work.context, ledger)
    assert ledger.missing([bad]) == [bad]


@pytest.mark.parametrize("name", TABLE)
@pytest.mark.parametrize("function", ["os:getcwd", "ntprunes.evil:run"])
def test_functions_from_elsewhere_are_refused(
    name: str, function: str, work: Work, tmp_path: Path
) -> None:
    if name != "inline" and function != "os:getcwd":
        pytest.skip("one start is enough")
    (found,) = engine(name)([Job(function, {})], work.context, Ledger(tmp_path))
    assert isinstance(found, Failure)
    assert f"functions of ntprune only, not '{function}'" in found.reason


@pytest.mark.parametrize("name", TABLE)
def test_workers_are_counted_from_one(name: str) -> None:
    with pytest.raises(SettingsError, match="workers 0"):
        make_engine(name, 0)


def test_an_unknown_engine_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'inline'"):
        make_engine("inlin")


def test_inline_runs_on_one_thread_and_puts_the_count_back(work: Work, tmp_path: Path) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    counts = []

    class Watched(Job):
        def run(self, context: Context) -> dict[str, Any]:
            counts.append(torch.get_num_threads())
            return {}

    try:
        engine("inline")([Watched(ACCURACY, {})], work.context, Ledger(tmp_path))
        assert counts == [1]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_jobs_id_depends_on_what_is_asked_and_not_on_its_order() -> None:
    one = Job(ACCURACY, {"release": "r", "source": "s", "recipe": {"lr": 0.1, "steps": 3}})
    two = Job(ACCURACY, {"recipe": {"steps": 3, "lr": 0.1}, "source": "s", "release": "r"})
    assert one.id == two.id
    assert len(one.id) == 32
    others = [
        Job("ntprune.audit.tasks:untouched", one.spec),
        Job(ACCURACY, one.spec | {"source": "t"}),
        Job(ACCURACY, one.spec | {"recipe": {"lr": 0.1, "steps": 4}}),
        Job(ACCURACY, one.spec | {"more": None}),
    ]
    assert len({one.id, *(job.id for job in others)}) == 5
    with pytest.raises(ValueError, match="not JSON compliant"):
        _ = Job(ACCURACY, {"lr": float("nan")}).id


def test_a_jobs_id_is_the_same_in_every_process() -> None:
    """Python's own hash is not."""
    code = f"from ntprune.jobs import Job; print(Job('{ACCURACY}', {{'b': 1, 'a': 'x'}}).id)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == Job(ACCURACY, {"a": "x", "b": 1}).id
