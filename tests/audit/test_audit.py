"""Small real audits: docs/audit.md, rule by rule."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.audit.small import Watched, document, run
from tests.release.toys import PROTOCOL, base, files, protected, reseal, save_npz, tamper, toy

import ntprune
from ntprune.audit import Report, audit, tasks
from ntprune.audit.right import unpacked
from ntprune.errors import (
    DataInvalidError,
    OutputError,
    SettingsError,
)
from ntprune.jobs import Context, Failure, Job, Outcome, Store
from ntprune.release import load

KEYS = [
    *("schema", "protocol", "release", "source", "target", "budgets", "scratch", "attacks"),
    *("envelope", "controls", "threats", "flags", "missing", "versions", "cost"),
]


def test_the_report(done: tuple[Path, Watched], pristine: Path) -> None:
    out, engine = done
    content = json.loads((out / "report.json").read_text())
    assert list(content) == KEYS
    report = Report.model_validate(content)
    assert report.protocol == "tiny/1"
    assert report.target == "toy1"
    assert report.budgets == [8, 32]
    assert report.release == json.loads((pristine / "card.json").read_text())
    assert set(report.attacks) == {*PROTOCOL.attacks}
    assert set(report.controls) == {*PROTOCOL.controls}
    assert report.cost.jobs == len(engine.ran)
    assert set(content["cost"]) == {"jobs", "reused", "steps", "seconds"}
    assert (content["cost"]["reused"], content["missing"]) == (0, [])
    with (out / "points.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 * (1 + 4 + 2 + 1 + 1)
    mean = sum(float(r["accuracy"]) for r in rows if r["subject"] == "scratch" and r["n"] == "8")
    assert report.scratch.curve[0] == pytest.approx(mean / 2)


def test_scratch_is_an_attacker_like_the_others(done: tuple[Path, Watched]) -> None:
    specs = [job.spec for job in done[1].ran if "attack" in job.spec]
    grids: dict[tuple[str, str], list[str]] = {}
    for spec in specs:
        same = {key: spec[key] for key in ("target", "n", "seed", "recipe")}
        grids.setdefault((spec["attack"], str(spec["release"])), []).append(json.dumps(same))
    assert len(grids) == 9
    assert len({tuple(sorted(grid)) for grid in grids.values()}) == 1


def test_source_before_and_after_are_measured(done: tuple[Path, Watched], pristine: Path) -> None:
    """And are those of the very files that were attacked."""
    source = json.loads((done[0] / "report.json").read_text())["source"]
    before = load(pristine.with_name("released.owner")).card.source.test
    after = load(pristine).card.source.test
    assert (source["before"], source["after"]) == (before, after)
    assert source["drop_pp"] == pytest.approx(100 * (before - after), abs=1e-3)
    assert before != after


def test_the_loss_has_an_interval_over_the_images_it_was_measured_on(
    done: tuple[Path, Watched],
) -> None:
    report = Report.model_validate_json((done[0] / "report.json").read_text())
    ledger = [json.loads(file.read_text()) for file in (done[0] / "jobs").glob("*.json")]
    sources = [job["result"] for job in ledger if "right" in job["result"]]
    assert sources
    for found in sources:
        each = unpacked(found["right"])
        assert len(each) == len(toy(0).test)
        assert each.mean() == pytest.approx(found["accuracy"])
    assert report.source.ci95_pp is not None
    low, high = report.source.ci95_pp
    assert low < report.source.drop_pp < high
    assert report.controls["unprotected"].drop_ci95_pp is None
    for name in ("magnitude", "random"):
        interval = report.controls[name].drop_ci95_pp
        assert interval is not None
        assert (
            interval[0] < 100 * (report.source.before - report.controls[name].source) < interval[1]
        )


def test_the_same_in_worker_processes(pristine: Path, tmp_path: Path) -> None:
    # Without trained controls there is a single pool to start.
    kept = {name: PROTOCOL.controls[name] for name in ("unprotected", "null")}
    rules = PROTOCOL.model_copy(update={"controls": kept})
    written = []
    for engine in ("inline", "process"):
        out = tmp_path / engine
        run(pristine, out, protocol=rules, engine=engine, workers=1)
        report = (out / "report.json").read_text().partition('"cost"')[0]
        jobs = {file.name for file in (out / "jobs").glob("*.json")}
        written.append((report, (out / "points.csv").read_bytes(), jobs))
    assert written[0] == written[1]
    assert len(written[0][2]) > 20


def test_the_verb_without_a_folder(done: tuple[Path, Watched], pristine: Path) -> None:
    ledger = done[0] / "jobs"
    before = set(files(done[0]))
    found = ntprune.audit(
        pristine, toy(1), protocol=PROTOCOL, source=toy(0), ledger=ledger, device="cpu"
    )
    assert (
        found.report.envelope
        == Report.model_validate_json((done[0] / "report.json").read_bytes()).envelope
    )
    assert found.mean_gap == found.report.envelope.mean_gap
    assert found.slc_auc == found.report.envelope.slc_auc
    assert found.history == load(pristine).history
    assert set(files(done[0])) == before


def test_save(done: tuple[Path, Watched], pristine: Path, tmp_path: Path) -> None:
    found = run(pristine, None, ledger=done[0] / "jobs", engine=(again := Watched()))
    assert again.ran == []
    found.save(tmp_path / "saved")
    names = ("report.json", "points.csv", "history.json")
    expected = {name: (done[0] / name).read_bytes() for name in names}
    before, after = (f'"reused": {n},'.encode() for n in (0, found.report.cost.jobs))
    expected["report.json"] = expected["report.json"].replace(before, after)
    assert files(tmp_path / "saved") == expected
    with pytest.raises(OutputError, match="exists already"):
        found.save(tmp_path / "saved")


def test_an_interrupted_audit_runs_only_what_is_missing(
    done: tuple[Path, Watched], pristine: Path, tmp_path: Path
) -> None:
    shutil.copytree(done[0], tmp_path / "out")
    attacked = sorted(job.id for job in done[1].ran if "attack" in job.spec)
    lost = attacked[::7]
    for name in lost:
        (tmp_path / "out" / "jobs" / f"{name}.json").unlink()
    (tmp_path / "out" / "report.json").unlink()
    run(pristine, tmp_path / "out", engine=(again := Watched()))
    assert sorted(job.id for job in again.ran) == lost
    assert document(tmp_path / "out") == document(done[0])


def test_a_control_whose_files_are_gone_is_made_anew_if_it_is_needed(
    done: tuple[Path, Watched], pristine: Path, tmp_path: Path
) -> None:
    shutil.copytree(done[0], tmp_path / "out")
    jobs = tmp_path / "out" / "jobs"
    (control,) = (job for job in done[1].ran if job.spec.get("method") == "random")
    weights = json.loads((jobs / f"{control.id}.json").read_bytes())["result"]["weights"]
    shutil.rmtree(jobs / "releases")
    run(pristine, tmp_path / "out", engine=(idle := Watched()))
    assert not idle.ran
    lost = next(j for j in done[1].ran if "attack" in j.spec and j.spec["release"] == weights)
    (jobs / f"{lost.id}.json").unlink()
    run(pristine, tmp_path / "out", engine=(again := Watched()))
    assert {job.id for job in again.ran} == {control.id, lost.id}
    assert document(tmp_path / "out") == document(done[0])


class Unlucky(Watched):
    """Loses one job by its own error, and tells the truth about the others."""

    def __init__(self, lost: Callable[[Job], bool]) -> None:
        super().__init__()
        self.lost = lost

    def execute(self, jobs: Sequence[Job], context: Context) -> Iterator[tuple[Job, Outcome]]:
        yield from ((job, Failure("it broke")) for job in jobs if self.lost(job))
        yield from super().execute([job for job in jobs if not self.lost(job)], context)


def test_a_failed_job_is_named_and_tried_again(
    done: tuple[Path, Watched], pristine: Path, tmp_path: Path
) -> None:
    shutil.copytree(done[0], tmp_path / "out")
    released = load(pristine).card.weights_sha256

    def lost(job: Job) -> bool:
        point = {"attack": "masked", "release": released, "n": 32, "seed": 1}
        return job.spec.get("method") == "random" or point.items() <= job.spec.items()

    for job in filter(lost, done[1].ran):
        (tmp_path / "out" / "jobs" / f"{job.id}.json").unlink()
    written = []
    for _ in range(2):
        found = run(pristine, tmp_path / "out", engine=Unlucky(lost)).report
        written.append(document(tmp_path / "out"))
    assert written[0] == written[1]
    assert [(m.subject, m.attack, m.n, m.seed) for m in found.missing] == [
        ("random", None, None, None),
        ("release", "masked", 32, 1),
    ]
    assert "random" not in found.controls
    assert "points-missing" in {flag.name for flag in found.flags}
    run(pristine, tmp_path / "out", engine=(healthy := Watched()))
    assert len(healthy.ran) == 2
    assert document(tmp_path / "out") == document(done[0])
    assert not list((tmp_path / "out" / "jobs").glob("*.failed.json"))


@pytest.mark.parametrize("below", ["jobs", "deep/er"])
def test_the_ledger_may_lie_in_the_audits_folder(
    below: str, done: tuple[Path, Watched], pristine: Path, tmp_path: Path
) -> None:
    """Where it lies if nobody says so, or further down."""
    out = tmp_path / "out"
    kept = {"unprotected": PROTOCOL.controls["unprotected"]}
    rules = PROTOCOL.model_copy(update={"controls": kept, "attacks": ("masked",)})
    run(pristine, out, protocol=rules, ledger=out / below)
    assert list((out / below).glob("*.json"))
    run(pristine, out, protocol=rules, ledger=out / below, engine=(again := Watched()))
    assert again.ran == []


def test_a_draft_of_the_claim_does_not_block(
    done: tuple[Path, Watched], pristine: Path, tmp_path: Path
) -> None:
    """A run may be killed between the draft of its first file and its renaming."""
    out = tmp_path / "out"
    out.mkdir()
    (out / ".audit.json.x1y2").write_text("{")
    run(pristine, out, ledger=done[0] / "jobs")
    assert document(out) == document(done[0])


def test_scratch_is_shared(done: tuple[Path, Watched], tmp_path: Path) -> None:
    """Another release of the same architecture against the same target."""
    other = ntprune.protect(base(toy(0)), toy(0), toy(1), method="random", device="cpu", steps=3)
    other.save(tmp_path / "other")
    shutil.copytree(done[0] / "jobs", tmp_path / "ledger")
    engine = Watched()
    run(tmp_path / "other", tmp_path / "out", ledger=tmp_path / "ledger", engine=engine)
    assert done[1].attacks()["scratch"] == 4
    assert engine.attacks()["scratch"] == 0
    assert engine.attacks()["masked"] == 4
    # The unprotected model is the same file, so it isn't attacked again either.
    assert engine.attacks()["finetune"] == 4
    assert document(tmp_path / "out")["scratch"] == document(done[0])["scratch"]
    cost = json.loads((tmp_path / "out" / "report.json").read_text())["cost"]
    assert cost["jobs"] - cost["reused"] == len(engine.ran)


def test_another_target_shares_no_scratch(
    done: tuple[Path, Watched], pristine: Path, tmp_path: Path
) -> None:
    shutil.copytree(done[0] / "jobs", tmp_path / "ledger")
    one_pixel = toy(1).pool.images.clone()
    one_pixel[0, 0, 0, 0] ^= 1
    moved = replace(toy(1), pool=replace(toy(1).pool, images=one_pixel))
    engine = Watched()
    run(pristine, tmp_path / "out", moved, ledger=tmp_path / "ledger", engine=engine)
    assert engine.attacks()["scratch"] == 4


def test_the_test_split_is_read_once_a_point(
    pristine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    monkeypatch.setattr(tasks, "accuracy", lambda model, data: calls.append(len(data)) or 0.5)
    seen = tasks.right
    monkeypatch.setattr(
        tasks, "right", lambda model, data: calls.append(len(data)) or seen(model, data)
    )
    engine = Watched()
    run(pristine, tmp_path / "out", engine=engine)
    trained = sum("method" in job.spec for job in engine.ran)
    assert trained == 2
    assert len(calls) == len(engine.ran) - trained
    assert set(calls) == {len(toy(1).test)}


def test_what_the_thief_chooses_does_not_depend_on_the_test_split(
    pristine: Path, tmp_path: Path
) -> None:
    swapped = replace(toy(1), test=replace(toy(1).test, labels=toy(1).test.labels.flip(0)))
    store = Store(tmp_path)
    release = load(pristine).card.weights_sha256
    context = Context(store.folder, tmp_path, {release: pristine})
    found = []
    for target in (toy(1), swapped):
        spec = {
            "attack": "finetune",
            "release": release,
            "card": "of the file",
            "network": "of the file",
            "model": None,
            "target": store.put(target),
            "n": 32,
            "seed": 0,
            "recipe": PROTOCOL.recipe.model_dump(mode="json"),
        }
        found.append(tasks.attack_point(spec, context))
    read = [{k: v for k, v in f.items() if k not in ("accuracy", "seconds")} for f in found]
    assert read[0] == read[1]
    assert found[0]["accuracy"] != found[1]["accuracy"]


def test_the_file_is_what_is_attacked(folder: Path, tmp_path: Path) -> None:
    """A forger who seals other weights with the old accuracy is found out by the measurement."""
    tamper(folder, "model.safetensors", lambda t: t["classifier.2.weight"].neg_())
    reseal(folder)
    claimed = load(folder).card.source.test
    rules = PROTOCOL.model_copy(update={"attacks": ("finetune",), "controls": {}})
    found = run(folder, tmp_path / "out", protocol=rules).report
    assert found.source.after != claimed
    assert found.release["weights_sha256"] == load(folder).card.weights_sha256
    assert found.void, "without an unprotected control nothing is shown"


@pytest.mark.parametrize("classes", [3, 6])
def test_a_target_with_other_classes(pristine: Path, tmp_path: Path, classes: int) -> None:
    found = run(pristine, tmp_path / "out", toy(3, classes=classes)).report
    assert set(found.attacks) == {"finetune-new-head", "masked-new-head"}
    assert set(found.controls["unprotected"].attacks) == {"finetune-new-head"}
    assert "null" not in found.controls
    assert {name for row in found.envelope.chosen for name in row} <= set(found.attacks)


def test_a_protocol_that_cannot_be_applied_is_refused(pristine: Path, tmp_path: Path) -> None:
    rules = PROTOCOL.model_copy(update={"attacks": ("finetune", "masked")})
    with pytest.raises(SettingsError, match="no attack of protocol tiny/1 can be made on 'toy3'"):
        run(pristine, tmp_path / "out", toy(3, classes=3), protocol=rules)
    assert not (tmp_path / "out").exists()
    kept = PROTOCOL.controls | {"unprotected": ("finetune",)}
    rules = PROTOCOL.model_copy(update={"attacks": ("masked-new-head",), "controls": kept})
    found = run(pristine, tmp_path / "out", toy(3, classes=3), protocol=rules).report
    assert "unprotected" not in found.controls
    assert found.void


def test_budgets_below_the_classes_work_and_are_named(pristine: Path, tmp_path: Path) -> None:
    rules = PROTOCOL.model_copy(update={"attacks": ("finetune",)})
    found = run(pristine, tmp_path / "out", protocol=rules, budgets=[5, 3, 5]).report
    assert found.protocol == "tiny/1 with budgets 3,5"
    assert "budget-below-classes" in {flag.name for flag in found.flags}


def test_fewer_attacks_and_controls_are_named(pristine: Path, tmp_path: Path) -> None:
    found = run(pristine, tmp_path / "out", attacks=["finetune"], controls=["unprotected"]).report
    assert found.protocol == "tiny/1 with attacks finetune, controls unprotected"
    assert set(found.attacks) == set(found.controls["unprotected"].attacks) == {"finetune"}
    assert set(found.controls) == {"unprotected"}


def test_other_seeds_are_named(pristine: Path, tmp_path: Path) -> None:
    rules = PROTOCOL.model_copy(update={"attacks": ("finetune",), "controls": {}})
    found = run(pristine, tmp_path / "out", protocol=rules, first_seed=7)
    assert found.report.protocol == "tiny/1 with seeds from 7"
    assert {p.seed for p in found.points} == {7, 8}


def test_an_unprotected_release_is_its_own_base(pristine: Path, tmp_path: Path) -> None:
    rules = PROTOCOL.model_copy(update={"attacks": ("finetune",), "controls": {"null": ("null",)}})
    found = run(pristine.with_name("released.owner"), tmp_path / "out", protocol=rules).report
    assert found.source.before == found.source.after


def test_the_source_is_found_by_its_name_on_the_card(tmp_path: Path) -> None:
    source = ntprune.domain(save_npz(tmp_path / "a.npz", 0))
    protected(source, toy(1)).save(tmp_path / "r")
    rules = PROTOCOL.model_copy(update={"attacks": ("finetune-new-head",), "controls": {}})
    found = audit(tmp_path / "r", toy(1), protocol=rules, device="cpu").report
    assert found.source.name == source.name
    save_npz(tmp_path / "a.npz", 2)
    with pytest.raises(DataInvalidError, match="is not what the release's card was made with"):
        audit(tmp_path / "r", toy(1), protocol=rules, device="cpu")


def test_controls_are_kept_once(done: tuple[Path, Watched]) -> None:
    """By the hash of their weights, with nothing left over."""
    kept = done[0] / "jobs" / "releases"
    assert len(list(kept.iterdir())) == 2
    for place in kept.iterdir():
        assert load(place).card.weights_sha256 == place.name
        assert torch.isfinite(load(place).model.module.state_dict()["features.0.weight"]).all()
