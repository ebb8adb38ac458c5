"""A worker process hears nothing of Ctrl-C: its driver does, and tells it to stop."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from multiprocessing.context import SpawnProcess
from pathlib import Path

import pytest

from ntprune.errors import AuditError
from ntprune.jobs.context import Context
from ntprune.jobs.worker import Worker

# In a process of its own, since what is watched happens once a process: the first worker starts
# the tracker of multiprocessing, too.
_FIRST = """
import sys
from pathlib import Path
from ntprune.jobs.context import Context
from ntprune.jobs.worker import Worker, listen
if __name__ == "__main__":
    place = Path(sys.argv[1])
    worker = Worker(Context(store=place, produced=place))
    try:
        listen([worker])
        print(Path(f"/proc/{worker._process.pid}/status").read_text())
    finally:
        Worker.stop([worker])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_first_worker_is_deaf_to_interrupts(tmp_path: Path) -> None:
    script = tmp_path / "first.py"
    script.write_text(_FIRST)
    status = subprocess.run(
        [sys.executable, str(script), str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    blocked = int(status.split("SigBlk:")[1].split()[0], 16)
    assert blocked & 1 << (signal.SIGINT - 1)


def test_a_machine_that_has_no_room_for_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: object) -> None:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(SpawnProcess, "start", full)
    with pytest.raises(AuditError, match=r"no further worker can be started .* fewer --workers"):
        Worker(Context(store=tmp_path, produced=tmp_path))
