"""What goes to stdout, what the exit codes are, and what is not imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.cli.conftest import Typed
from tests.report.factory import report, write

from ntprune.audit import Audit
from ntprune.cli.console import workers_or_cores
from ntprune.cli.main import app, main
from ntprune.methods import method_class

COMMANDS: dict[str, tuple[str, set[str]]] = {
    "pretrain": (
        "pretrain --width 4 --epochs 1 --device cpu --source npz:{place}/source.npz "
        "--out {tmp}/out",
        {"out", "card"},
    ),
    "protect": (
        "protect {place}/base --target npz:{place}/target.npz --method magnitude --set steps=2 "
        "--sparsity 0.5 --device cpu --out {tmp}/out",
        {"out", "card"},
    ),
    "audit": (
        "audit {place}/release --target npz:{place}/target.npz --protocol tiny --engine inline "
        "--budgets 4,8 --device cpu --out {tmp}/out",
        {"schema", "protocol", "envelope", "cost", "verdict"},
    ),
    "attack": (
        "attack {place}/release --target npz:{place}/target.npz --attack regrow --budget 6 "
        "--device cpu --out {tmp}/out",
        {"attack", "budget", "lr", "steps", "accuracy", "scratch", "out"},
    ),
    "report": ("report {tmp}/audit --out {tmp}/report.html", {"html", "markdown"}),
    "check": ("check {place}/release --data", {"release", "sparsity", "test", "weights_sha256"}),
    "domains": ("domains", {"optdigits", "npz:<path>"}),
    "methods": ("methods", {"ntp", "ntp --preset paper", "none", "magnitude", "random"}),
    "attacks": ("attacks", {"scratch", "finetune", "null"}),
    "doctor": (
        "doctor --data-root {tmp}",
        {"versions", "device", "architectures", "protocols", "domains", "missing"},
    ),
    "experiment": (
        "experiment ablation --pair optdigits-blended --dry-run --out {tmp}/out "
        "--results {tmp}/results",
        {"releases", "missing", "commands"},
    ),
    "demo": ("demo --out {tmp}/out", {"html", "report", "verdict"}),
}


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The demo and the doctor without their minutes of work, and an audit to report on."""
    write(tmp_path / "audit", report())

    def demo(out: Path, **_: Any) -> tuple[Audit, Path]:
        print("demo: 1/1", file=sys.stderr)
        return Audit(report(), [], []), out / "report.html"

    monkeypatch.setattr("ntprune.experiments.demo.run", demo)
    monkeypatch.setattr("ntprune.domains.domain_names", lambda: ["optdigits", "mnist"])


def arguments(name: str, place: Path, tmp: Path) -> list[str]:
    return [part.format(place=place, tmp=tmp) for part in COMMANDS[name][0].split()]


def test_every_command_is_here() -> None:
    assert {command.name for command in app.registered_commands} == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_one_json_document(name: str, place: Path, tmp_path: Path, typed: Typed) -> None:
    ended = typed(*arguments(name, place, tmp_path), "--json")
    assert ended.code == 0, ended.said
    document = json.loads(ended.out)
    assert isinstance(document, dict)
    assert COMMANDS[name][1] <= set(document)
    assert ended.said == []


@pytest.mark.parametrize("name", COMMANDS)
def test_lines_for_people(name: str, place: Path, tmp_path: Path, typed: Typed) -> None:
    ended = typed(*arguments(name, place, tmp_path))
    assert ended.code == 0, ended.said
    assert ended.said == []
    assert ended.out.strip()
    with pytest.raises(json.JSONDecodeError):
        json.loads(ended.out)


def test_the_settings_of_a_method(typed: Typed) -> None:
    said = typed("methods", "ntp").out.splitlines()
    assert len(said) == len(method_class("ntp").Settings.model_fields)
    assert "sparsity = 0.85 (≥ 0, < 1): share of prunable weights that become exactly zero." in said
    paper = json.loads(typed("methods", "ntp", "--preset", "paper", "--json").out)
    assert paper["rho"]["default"] == "0.005"
    assert typed("methods", "none").out == "no settings\n"
    assert "did you mean 'ntp'" in typed("methods", "npt").said[0]


def test_an_audit_begins_with_its_verdict(place: Path, tmp_path: Path, typed: Typed) -> None:
    for name in ("audit", "demo"):
        first = typed(*arguments(name, place, tmp_path)).out.splitlines()[0]
        assert first.partition(":")[0] in (
            "Protected",
            "Partly protected",
            "Not settled",
            "Not protected",
            "Void",
        )


@pytest.mark.parametrize("option", ["--json", "--seed", "--device", "--data-root"])
@pytest.mark.parametrize("name", COMMANDS)
def test_options_that_every_command_has(name: str, option: str, typed: Typed) -> None:
    ended = typed(name, "--help")
    assert ended.code == 0
    assert option in ended.out


def test_the_audit_prints_its_protocol_with_its_numbers(
    place: Path, tmp_path: Path, typed: Typed
) -> None:
    out = typed(*arguments("audit", place, tmp_path)).out
    assert f"\ntiny/1 with budgets 4,8 on npz:{place}/target.npz: mean gap " in out
    found = json.loads((tmp_path / "out" / "report.json").read_text())
    source = found["source"]
    low, high = source["ci95_pp"]
    lost = f"source drop {source['drop_pp']:+.2f} pp (95 % interval {low:+.2f} to {high:+.2f})"
    assert f"SLC-AUC {found['envelope']['slc_auc']:+.4f}; {lost}" in out


def test_exit_codes(monkeypatch: pytest.MonkeyPatch, typed: Typed) -> None:
    assert typed("methods").code == 0
    assert typed().code == 2
    monkeypatch.setattr("ntprune.methods.method_names", stopped)
    ended = typed("methods")
    assert (ended.code, ended.said) == (
        130,
        ["ntprune: stopped, nothing half-written left; run it again, audits and protections go on"],
    )
    monkeypatch.setattr("ntprune.methods.method_names", ours)
    with pytest.raises(ZeroDivisionError):
        main(["methods"])


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (
            PermissionError(13, "Permission denied", "/root/x"),
            "/root/x: permission denied: check the path and its permissions",
        ),
        (MemoryError(), "out of memory: give a smaller batch, images or network"),
        (torch.OutOfMemoryError("CUDA out of memory"), "out of memory: give a smaller batch"),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
            "out of memory: give a smaller batch",
        ),
    ],
    ids=["unreadable", "memory", "memory of a GPU", "memory of the CPU"],
)
def test_what_the_machine_refuses_is_said_in_one_line(
    error: Exception, says: str, monkeypatch: pytest.MonkeyPatch, typed: Typed
) -> None:
    def refused() -> None:
        raise error

    monkeypatch.setattr("ntprune.methods.method_names", refused)
    ended = typed("methods")
    assert ended.code == 2
    assert len(ended.said) == 1
    assert ended.said[0].startswith(f"ntprune: {says}")


def test_a_terminal_without_the_symbols(place: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ntprune.cli.main", *arguments("protect", place, tmp_path)]
    ended = subprocess.run(
        command, capture_output=True, timeout=120, env=os.environ | {"PYTHONIOENCODING": "cp1252"}
    )
    assert ended.returncode == 0, ended.stderr.decode()
    assert b" ? " in ended.stdout, "the arrow between before and after"
    assert (tmp_path / "out" / "card.json").exists()


def stopped() -> None:
    raise KeyboardInterrupt


def ours() -> None:
    raise ZeroDivisionError


def test_a_mistake_of_ours_exits_with_1() -> None:
    script = (
        "import ntprune.methods as m, ntprune.cli.main as c\n"
        "m.method_names = lambda: 1 / 0\n"
        "c.main(['methods'])"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=60)
    assert ended.returncode == 1


@pytest.mark.parametrize(
    "statement",
    [
        "import ntprune",
        "import ntprune; dir(ntprune)",
        "from ntprune.cli.main import main; main(['--help'])",
        "from ntprune.cli.main import main; main(['audit', '--help'])",
        "from ntprune.cli.main import main; main(['experiment', '--help'])",
        "from ntprune.cli.main import main; main(['protec'])",
    ],
)
def test_torch_is_imported_late(statement: str) -> None:
    script = f"""
import sys
try:
    {statement}
except SystemExit:
    pass
heavy = {{"torch", "torchvision", "scipy", "sklearn", "matplotlib"}} & set(sys.modules)
print("HEAVY", sorted(heavy))
"""
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
    )
    assert ended.stdout.splitlines()[-1] == "HEAVY []", ended.stderr


@pytest.mark.parametrize(
    ("workers", "device", "wanted"),
    [(0, "auto", 1), (0, "cuda", 1), (3, "cuda", 3), (0, "cpu", workers_or_cores(0))],
)
def test_processes_do_not_share_a_gpu_unasked(
    workers: int, device: str, wanted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ntprune.engine.resolve_device", lambda name: torch.device("cuda"))
    assert workers_or_cores(workers, device) == wanted


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_no_room_where_stdout_leads_to() -> None:
    with open("/dev/full", "wb") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "ntprune.cli.main", "attacks"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert line.startswith("ntprune: cannot write to stdout: no space left")
