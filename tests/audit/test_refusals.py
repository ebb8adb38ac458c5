"""What an audit refuses, and that nothing is written then."""

from __future__ import annotations

import shutil
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from tests.audit.small import Watched, run
from tests.release.toys import base, edit_card, files, tamper, toy

import ntprune
from ntprune.audit import audit, tasks
from ntprune.errors import (
    AuditError,
    DataInvalidError,
    NtpruneError,
    OutputError,
    ReleaseInvalidError,
    SettingsError,
    UnknownNameError,
)
from ntprune.jobs import Context, Store
from ntprune.release import load

# What a job names beside the weights.
MEANING = {"card": "of the file", "network": "of the file"}


def refused(
    error: type[NtpruneError], message: str, folder: Path, out: Path, **options: Any
) -> None:
    with pytest.raises(error, match=message) as caught:
        run(folder, out, **options)
    assert "\n" not in str(caught.value)


def test_what_is_refused_writes_nothing(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    pool = len(toy(1).pool)
    for error, message, options in (
        (UnknownNameError, "unknown engine 'proces'", {"engine": "proces"}),
        (UnknownNameError, "unknown protocol 'quack'", {"protocol": "quack"}),
        (SettingsError, "workers 0 is below 1", {"workers": 0}),
        (SettingsError, "device 'cuda:99' is not available", {"device": "cuda:99"}),
        (SettingsError, f"budget 999 exceeds the {pool} images", {"budgets": [8, 999]}),
        (SettingsError, "at least two different counts", {"budgets": [8, 8]}),
        (SettingsError, "each at least 3", {"budgets": [1, 8]}),
        (DataInvalidError, "is the source of this release", {"target": toy(0)}),
        (DataInvalidError, "is not what the release's card was made with", {"source": toy(2)}),
        (AuditError, "found none at .*nowhere", {"base": tmp_path / "nowhere"}),
    ):
        refused(error, message, folder, out, **options)
    base(toy(2)).save(tmp_path / "stranger")
    refused(AuditError, "is not the model that", folder, out, base=tmp_path / "stranger")
    shutil.rmtree(folder.with_name("released.owner"))
    refused(AuditError, r"found none at .*released\.owner.*--base", folder, out)
    assert not out.parent.exists()


def test_a_source_that_is_loaded_is_checked_as_one_that_is_given(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its accuracy is reported, so no test image may be one that was trained on."""
    learnt = replace(toy(0), test=toy(0).train)
    monkeypatch.setattr(import_module("ntprune.audit.prepare"), "domain", lambda *_: learnt)
    out = tmp_path / "out"
    refused(DataInvalidError, "toy0, test split.*in another split", folder, out, source=None)
    assert not out.exists()


def test_other_classes_on_the_card_are_refused(folder: Path, tmp_path: Path) -> None:
    """A thief whose target has the source's classes would be denied the released head."""
    for place in (folder, folder.with_name("released.owner")):
        edit_card(place, lambda card: card["model"].update(classes=["a", "b", "c", "d"]))
    out = tmp_path / "out"
    refused(DataInvalidError, "names the classes a, b, c, d, 'toy0' has flat", folder, out)
    edit_card(folder, lambda card: card["model"].update(classes=list(toy(0).classes)))
    refused(AuditError, "is not the model that", folder, out)
    edit_card(folder, lambda card: card.update(base=None))
    refused(AuditError, "is not the model that", folder, out)
    assert not out.exists()


def test_a_folder_in_use_is_refused(
    done: tuple[Path, Watched], pristine: Path, tmp_path: Path
) -> None:
    before = files(done[0])
    refused(OutputError, "audit with other settings", pristine, done[0], budgets=[4, 8])
    assert files(done[0]) == before
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("precious")
    refused(OutputError, "something that is not an audit", pristine, tmp_path / "out")
    refused(OutputError, "cannot write", pristine, tmp_path / "out" / "mine" / "deep")
    refused(OutputError, "cannot write", pristine, tmp_path / "out" / "mine")
    assert files(tmp_path / "out") == {"mine": b"precious"}


@pytest.mark.parametrize("target", ["toy1", None])
def test_what_is_no_domain_is_refused(pristine: Path, tmp_path: Path, target: Any) -> None:
    with pytest.raises(SettingsError, match="expected a domain, for instance ntprune"):
        audit(pristine, target, out=tmp_path / "out")
    with pytest.raises(SettingsError, match="source: found 'mnist', expected a domain"):
        run(pristine, tmp_path / "out", source="mnist")
    for option, says in (("budgets", "counts such as"), ("attacks", "names such as")):
        with pytest.raises(SettingsError, match=f"{option}: found 'finetune', expected {says}"):
            run(pristine, tmp_path / "out", **{option: "finetune"})
    with pytest.raises(SettingsError, match="target: found"):
        ntprune.audit.single(pristine, target, "finetune", 8)
    with pytest.raises(SettingsError, match="source: found"):
        ntprune.pretrain("convnet", target)
    with pytest.raises(SettingsError, match="target: found 'toy1'"):
        ntprune.protect(load(pristine), toy(0), "toy1")  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="model: found"):
        ntprune.protect(str(pristine), toy(0), toy(1))  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_a_release_that_changed_is_refused(folder: Path, tmp_path: Path) -> None:
    tamper(folder, "model.safetensors", lambda t: t["features.3.weight"].mul_(1.01))
    with pytest.raises(ReleaseInvalidError, match="was changed after its card was written"):
        run(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_release_exchanged_during_the_audit(folder: Path, tmp_path: Path) -> None:
    wanted = load(folder).card.weights_sha256
    name = Store(tmp_path).put(toy(0))
    owner = folder.with_name("released.owner")
    context = Context(tmp_path, tmp_path, {wanted: owner})
    with pytest.raises(AuditError, match="changed while it was audited"):
        tasks.source_accuracy({"release": wanted, "source": name} | MEANING, context)


def test_the_same_weights_under_another_card_are_read_anew(folder: Path, tmp_path: Path) -> None:
    """What is kept in memory is what the job names, or its result would be another's."""
    weights = load(folder).card.weights_sha256
    context = Context(tmp_path, tmp_path, {weights: folder})
    spec = {"release": weights, "source": Store(tmp_path).put(toy(0))} | MEANING
    before = tasks.source_accuracy(spec, context)["accuracy"]
    edit_card(folder, lambda card: card["model"]["preprocessing"].update(mean=[0.9], std=[0.01]))
    assert tasks.source_accuracy(spec, context)["accuracy"] == before
    assert tasks.source_accuracy(spec | {"card": "another"}, context)["accuracy"] != before
