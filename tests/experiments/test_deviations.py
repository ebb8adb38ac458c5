"""The study of the paper preset's deviations, at a tiny scale, and the record it leaves."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.release.toys import PROTOCOL, base, toy

from ntprune.errors import SettingsError
from ntprune.experiments import deviations
from ntprune.experiments.deviations import VARIANTS, Study, run
from ntprune.methods.paper import PaperSettings
from ntprune.release import check

TINY = Study(
    source="optdigits",
    target="blended:optdigits",
    pretrain={"architecture": "convnet", "width": 4, "size": 8, "epochs": 2},
    # Enough to move a mask after the first iteration: by then a weight must change its sign.
    protect={"iterations": 3, "tau": 3e-4, "lr": 0.01, "batch": 32, "source_share": 1.0},
    budgets=(16, 32),
    rules=PROTOCOL,
)


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_is_something_else_that_the_preset_can_be_told(name: str) -> None:
    theirs = PaperSettings()
    assert PaperSettings(**VARIANTS[name]) != theirs or name == "paper"


def test_every_switch_is_taken_back_in_some_variant() -> None:
    switches = {n for n, v in PaperSettings().model_dump().items() if isinstance(v, bool)}
    assert switches == switches & {key for changed in VARIANTS.values() for key in changed}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--budgets", "8,many"], "'8,many': give counts such as 16,128,1024"),
        (["--set", "lr=[1"], "'[1' is no YAML"),
    ],
)
def test_mistakes_end_in_one_line(
    options: list[str],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.argv", ["deviations", *options])
    with pytest.raises(SystemExit) as ended:
        deviations.main()
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_protect_audit_record_and_take_up_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, results = tmp_path / "runs", tmp_path / "results"
    run(TINY, ["paper"], out, results)
    first = json.loads((results / "deviations.json").read_text())

    def again(*_: Any, **__: Any) -> None:
        raise AssertionError("protected again")

    monkeypatch.setattr(deviations, "pretrain", again)
    with monkeypatch.context() as patch:
        patch.setattr(deviations, "protect", again)
        run(TINY, ["paper"], out, results)
        assert json.loads((results / "deviations.json").read_text()) == first
    monkeypatch.setitem(VARIANTS, "empty", {"tau": 10.0})
    run(TINY, ["empty", "last-mask-applied"], out, results)

    document = json.loads((results / "deviations.json").read_text())
    assert document["variants"]["paper"] == first["variants"]["paper"]
    assert document["command"].startswith("python -m ntprune.experiments.deviations")
    assert {"torch", "ntprune"} <= document["machine"]["versions"].keys()
    assert document["seeds"] == {"protection": 0, "thieves": [0, 1]}
    assert list(document["variants"]) == ["paper", "last-mask-applied", "empty"]
    paper, applied, empty = document["variants"].values()
    assert "lower tau" in empty["failed"]
    assert not (out / "empty").exists()
    assert paper["sparsity"] == check(out / "paper" / "release").sparsity < applied["sparsity"]
    assert paper["iterations"] == 3
    assert set(paper["slc_auc"]) == set(PROTOCOL.attacks)
    text = (results / "deviations.md").read_text()
    assert "| last-mask-applied | `apply_last_mask=True` | 3 |" in text
    assert "| empty | `tau=10.0` | – |" in text
    assert "tiny/1 with budgets 16,32, controls unprotected,null" in text

    run(replace(TINY, budgets=(16, 40)), ["empty"], out, results)
    document = json.loads((results / "deviations.json").read_text())
    assert list(document["variants"]) == ["empty"], "those of another study don't stay"


def test_settings_of_every_variant_come_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(deviations, "run", lambda *given: seen.extend(given))
    command = "deviations paper --set tau=3e-4 --set iterations=2 --width 4 --budgets 8,16"
    monkeypatch.setattr("sys.argv", [*command.split(), "--out", str(tmp_path)])
    deviations.main()
    study, variants, out, *_ = seen
    assert study.protect == {"tau": "3e-4", "iterations": 2}
    PaperSettings(**study.protect)  # YAML takes 3e-4 for a text, the settings take it for a number
    assert (study.budgets, study.pretrain["width"]) == ((8, 16), 4)
    assert (variants, out) == (["paper"], tmp_path)
    with pytest.raises(SettingsError, match="'tua'"):
        run(Study(protect={"tua": 1}), variants, tmp_path, tmp_path)
    monkeypatch.setattr("sys.argv", ["deviations", "papper"])
    with pytest.raises(SystemExit):
        deviations.main()


def test_a_mistake_is_one_line_and_no_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither a wrong name nor a folder of other settings."""
    base(toy(0)).save(tmp_path / "out" / "base")
    embedded = "--source optdigits --target blended:optdigits"
    for more, says in (("--source nosuch", "unknown domain"), (embedded, "holds a")):
        places = ["--out", str(tmp_path / "out"), "--results", str(tmp_path / "results")]
        monkeypatch.setattr("sys.argv", ["deviations", *more.split(), *places])
        with pytest.raises(SystemExit, match="2"):
            deviations.main()
        assert says in capsys.readouterr().err
    assert not (tmp_path / "results").exists()
