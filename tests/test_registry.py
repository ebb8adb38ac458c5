"""Entries that installed packages publish."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CODE = {
    "registers itself": """
from ntprune.attacks import attack
from ntprune.attacks.finetune import FineTune

@attack
class Mine(FineTune):
    name = "mine"
""",
    "does not": """
from ntprune.attacks.finetune import FineTune

class Mine(FineTune):
    name = "mine"
""",
}


@pytest.mark.parametrize("how", CODE)
def test_an_attack_of_a_package(how: str, tmp_path: Path) -> None:
    """In a process of its own, which has the package on its path from the start."""
    (tmp_path / "mine.py").write_text(CODE[how])
    about = tmp_path / "mine-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[ntprune.attacks]\nmine = mine:Mine\n")
    script = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import ntprune.attacks as a; "
        "print('mine' in a.attack_names(), a.make_attack('mine').name)"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.stdout.split() == ["True", "mine"], ended.stderr
