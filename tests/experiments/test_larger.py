"""Larger networks by the commands a user types; here the network is a small one."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tests.experiments.conftest import PAIR, Shell

from ntprune.experiments import larger
from ntprune.methods import make_method
from ntprune.models.registry import architecture_names


def test_made_once_and_recorded(shell: Shell, tmp_path: Path) -> None:
    pair = replace(
        PAIR, audit=PAIR.audit | {"attacks": "finetune", "controls": "unprotected,magnitude"}
    )
    networks, inline = {"small": pair}, ["--engine", "inline"]
    larger.run(networks, tmp_path / "out", tmp_path, engine=inline, command=shell)
    assert [line.split()[0] for line in shell.typed] == ["pretrain", "protect", "audit"]
    assert "--protocol tiny/1" in shell.typed[-1]
    stages = json.loads((tmp_path / "small" / "run.json").read_text())["stages"]
    assert stages.keys() == {"pretrain", "protect", "audit"}
    assert "## small\n" in (tmp_path / "summary.md").read_text()
    shell.typed.clear()
    larger.run(networks, tmp_path / "out", tmp_path, engine=inline, command=shell)
    assert not shell.typed


@pytest.mark.parametrize("name", larger.NETWORKS)
def test_the_networks(name: str) -> None:
    pair = larger.NETWORKS[name]
    assert pair.pretrain["model"] == name
    assert name in architecture_names()
    make_method("ntp", **pair.settings)


def test_another_network_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["larger", "resnet19"])
    with pytest.raises(SystemExit):
        larger.main()
    assert "unknown network 'resnet19': choose of resnet18, vgg11_bn" in capsys.readouterr().err
