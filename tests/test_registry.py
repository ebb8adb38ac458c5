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


NETWORK = """
from torch import nn
from ntprune.models import ModelSpec, Parts

class Net(nn.Sequential):
    def __init__(self, classes: int) -> None:
        super().__init__()
        self.features = nn.Conv2d(1, 4, 3)
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(4 * 14 * 14, classes))

def build(spec: ModelSpec) -> Parts:
    net = Net(len(spec.classes))
    return Parts(net, net.features, net.classifier)
"""


def published(folder: Path, code: str, group: str, entry: str, script: str) -> list[str]:
    """What `script` prints in a process that has a package with that entry point on its path."""
    (folder / "mine.py").write_text(code)
    about = folder / "mine-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[{group}]\nmine = mine:{entry}\n")
    whole = f"import sys; sys.path.insert(0, {str(folder)!r})\n{script}"
    ended = subprocess.run([sys.executable, "-c", whole], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.split()


@pytest.mark.parametrize("how", CODE)
def test_an_attack_of_a_package(how: str, tmp_path: Path) -> None:
    script = (
        "import ntprune.attacks as a; print('mine' in a.attack_names(), a.make_attack('mine').name)"
    )
    assert published(tmp_path, CODE[how], "ntprune.attacks", "Mine", script) == ["True", "mine"]


@pytest.mark.filterwarnings("error")
def test_a_package_that_cannot_be_imported_stands_in_nobodys_way(tmp_path: Path) -> None:
    script = (
        "import warnings, ntprune.attacks as a\n"
        "from ntprune.errors import SettingsError\n"
        "with warnings.catch_warnings(record=True) as said: names = a.attack_names()\n"
        "print('mine' in names, a.make_attack('finetune').name, len(said))\n"
        "try: a.make_attack('mine')\n"
        "except SettingsError as error: print(str(error))"
    )
    printed = published(tmp_path, "import absent_everywhere", "ntprune.attacks", "Mine", script)
    assert printed[:3] == ["False", "finetune", "1"]
    assert "attack 'mine' cannot be imported from mine:Mine" in " ".join(printed)


def test_a_network_of_a_package(tmp_path: Path) -> None:
    script = (
        "import ntprune.models as m;"
        "pre = m.Preprocessing(channels=1, size=16, mean=(0,), std=(1,));"
        "spec = m.ModelSpec(architecture='mine', classes=('a', 'b', 'c'), preprocessing=pre);"
        "print(m.Model.fresh(spec, 0).head[1].out_features);"
        "import mine; net = mine.Net(3);"
        "print(m.wrap(net, encoder='features', head='classifier', classes=spec.classes,"
        " preprocessing=pre, name='mine').module is net)"
    )
    printed = published(tmp_path, NETWORK, "ntprune.architectures", "build", script)
    assert printed == ["3", "True"], "wrap takes the place of what was looked up before"
