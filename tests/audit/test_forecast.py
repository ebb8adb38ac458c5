"""What a dry run says of the work: counted as it will be done, timed as it is done."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from tests.audit.small import run
from tests.release.toys import PROTOCOL, toy

from ntprune.audit import Prepared, Protocol, forecast, prepare
from ntprune.audit.effort import effort
from ntprune.audit.forecast import Speed, _jobs
from ntprune.domains import Split
from ntprune.engine import Batches
from ntprune.errors import OutputError, SettingsError
from ntprune.jobs import Job, Ledger, make_engine

CONFIRMING = PROTOCOL.model_copy(
    update={"recipe": PROTOCOL.recipe.model_copy(update={"confirm": True, "batch": 24})}
)


def planned(folder: Path, rules: Protocol = PROTOCOL, **changes: Any) -> Prepared:
    return prepare(folder, toy(1), protocol=rules, source=toy(0), **changes)


def jobs(given: Prepared, place: Path) -> list[Job]:
    unique = {job.id: job for job in _jobs(given.plan, Ledger(place / "none"))}
    return list(unique.values())


@pytest.mark.parametrize("rules", [PROTOCOL, CONFIRMING], ids=["grid", "confirming"])
def test_the_steps_are_those_that_are_taken(
    rules: Protocol, pristine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With batches of just those sizes: a thief of 8 samples never sees 32 at once.

    Or more than are taken: whoever finds the usual rate best has no other to confirm beside it.
    """
    taken: Counter[int] = Counter()
    draw = Batches.next

    def watched(self: Batches) -> Any:
        images, labels = draw(self)
        taken[len(images)] += 1
        return images, labels

    every = jobs(planned(pristine, rules), tmp_path)
    expected: Counter[int] = Counter()
    for job in every:
        work = effort(job, planned(pristine, rules))
        assert sum(work.steps.values()) == job.steps
        expected += work.steps
    monkeypatch.setattr(Batches, "next", watched)
    report = run(pristine, tmp_path / "out", protocol=rules).report
    assert report.cost.steps == taken.total()
    if rules.recipe.confirm:
        assert taken < expected
        assert taken.total() > 0.7 * expected.total()
    else:
        assert taken == expected
    assert {min(8, rules.recipe.batch), min(32, rules.recipe.batch)} < set(expected)


def test_images_that_are_only_looked_at(pristine: Path, tmp_path: Path) -> None:
    given = planned(pristine)
    source, target = given.source, given.target
    attacked = {
        # A fifth is held out at each of two rates; statistics are estimated on what is trained on.
        n: 2 * n + n + len(target.test)
        for n in (8, 32)
    }
    for job in jobs(given, tmp_path):
        spec = job.spec
        if "attack" in spec:
            wanted = attacked[spec["n"]]
        elif "method" in spec:
            wanted = len(source.owner_validation) + len(source.test)
        else:
            wanted = len(source.test if "source" in spec else target.test)
        assert effort(job, given).looks == wanted


def test_each_size_of_batch_has_its_own_time(
    pristine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Speed, "look", 0.5)
    monkeypatch.setattr(Speed, "step", lambda self, batch: float(batch))
    given = planned(pristine)
    work = [effort(job, given) for job in jobs(given, tmp_path)]
    seconds = sum(
        0.5 * one.looks + sum(batch * count for batch, count in one.steps.items()) for one in work
    )
    found = forecast(given, tmp_path / "out", engine=make_engine("inline"), device="cpu")
    assert found.seconds == pytest.approx(seconds)
    two = forecast(given, tmp_path / "out", engine=make_engine("process", 2), device="cpu")
    assert two.seconds == pytest.approx(seconds / 2)
    assert (found.workers, two.workers) == (1, 2)
    assert list(tmp_path.iterdir()) == []


def test_a_larger_batch_takes_longer(pristine: Path) -> None:
    """Measured here; a batch of 512 is far from one of 2 even on a busy machine."""
    speed = Speed(planned(pristine), torch.device("cpu"))
    assert speed.step(512) > 2 * speed.step(2) > 0
    assert speed.look > 0


def test_a_network_that_its_owner_has_frozen(pristine: Path) -> None:
    given = planned(pristine)
    given.plan.release.model.module.requires_grad_(False)
    assert Speed(given, torch.device("cpu")).step(8) > 0


class Sealed:
    """A test split that can be counted and not be seen."""

    def __init__(self, split: Split) -> None:
        self._count = len(split)

    def __len__(self) -> int:
        return self._count


def test_no_test_split_is_read(pristine: Path, tmp_path: Path) -> None:
    given = planned(pristine)
    source, target = (
        replace(domain, test=cast(Any, Sealed(domain.test)))
        for domain in (given.source, given.target)
    )
    sealed = replace(given, source=source, target=target)
    found = forecast(sealed, tmp_path / "out", engine=make_engine("inline"), device="cpu")
    assert found.new == found.jobs > 0


def test_what_the_audit_would_refuse_is_refused(pristine: Path, tmp_path: Path) -> None:
    given = planned(pristine)
    with pytest.raises(SettingsError, match="does not go with engine 'ray'"):
        forecast(given, tmp_path / "out", engine=make_engine("ray"), device="cuda")
    (tmp_path / "mine").touch()
    with pytest.raises(OutputError, match="is not an audit"):
        forecast(given, tmp_path, engine=make_engine("inline"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="a driver with a GPU times it")
@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_a_driver_without_the_gpu_of_its_nodes_times_its_cpu(
    device: str, pristine: Path, tmp_path: Path
) -> None:
    engine = make_engine("ray", gpus_per_job=0.5)
    assert forecast(planned(pristine), tmp_path, engine=engine, device=device).device == "cpu"
