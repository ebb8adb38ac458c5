"""A protection that is killed ends with the bytes of one that never was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.release.toys import files

from ntprune.domains import domain
from ntprune.methods import pretrain, protect

SETTINGS = {
    "max_source_drop": 100.0,
    "sparsity": 0.8,
    "rounds": 3,
    "inner": 4,
    "finish": 8,
    "checks": 4,
}
KILLS = 2


def start(base: Path, out: Path) -> subprocess.Popen[bytes]:
    settings = [part for item in SETTINGS.items() for part in ("--set", "{}={}".format(*item))]
    options = ["--target", "blended:optdigits", "--device", "cpu", "--out", str(out)]
    return subprocess.Popen(
        [sys.executable, "-m", "ntprune.cli.main", "protect", str(base), *settings, *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def test_killed_at_any_moment(tmp_path: Path) -> None:
    source, target = domain("optdigits"), domain("blended:optdigits")
    base = pretrain("convnet", source, width=4, epochs=1, device="cpu")
    base.save(tmp_path / "base")
    protect(base, source, target, device="cpu", **SETTINGS).save(tmp_path / "whole")
    out, state = tmp_path / "torn", tmp_path / "torn.partial" / "state"
    seen = 0
    for _ in range(KILLS):
        process = start(tmp_path / "base", out)
        try:
            end = time.monotonic() + 120
            while not state.is_file() or state.stat().st_mtime_ns == seen:
                assert process.poll() is None, "the run ended before it was killed"
                assert time.monotonic() < end
                time.sleep(0.005)
        finally:
            process.send_signal(signal.SIGKILL)
            process.communicate()
        seen = state.stat().st_mtime_ns
        assert not out.exists()
    process = start(tmp_path / "base", out)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said.decode()
    assert b"taken up again" in said
    assert files(out) == files(tmp_path / "whole")
    assert not state.parent.exists()
