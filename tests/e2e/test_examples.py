"""The scripts in examples/ that need nothing but a released file, run on a small one."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import pytest
from tests.release.toys import CLASSES, protected, toy

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("one_attack", r"regrow \d+\.\d%, from scratch \d+\.\d% \(100 steps\)"),
        ("plain_torch", "|".join(CLASSES)),
    ],
)
def test_an_example_runs(
    name: str,
    printed: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = protected(toy(0), toy(1)).save(tmp_path / "released")
    monkeypatch.setattr(sys, "argv", [name, str(folder)])
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    assert re.fullmatch(printed, capsys.readouterr().out.strip())
