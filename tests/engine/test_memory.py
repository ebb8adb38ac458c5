import ctypes
import subprocess
import sys
from types import SimpleNamespace

import pytest

from ntprune.engine.memory import _MMAP_THRESHOLD as MMAP_THRESHOLD
from ntprune.engine.memory import _TRIM_THRESHOLD as TRIM_THRESHOLD
from ntprune.engine.memory import keep_freed_memory

# Pages that the kernel hands out while the same tensor is made and dropped again and again.
FAULTS = """
import resource, sys, torch
from ntprune.engine.memory import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
def work():
    for _ in range(50):
        # Larger than the largest block that glibc learns to keep by itself.
        torch.ones(48 * 2**18)
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(mode: str) -> int:
    out = subprocess.run(
        [sys.executable, "-c", FAULTS, mode], check=True, capture_output=True, text=True
    )
    return int(out.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_memory_is_reused_instead_of_fetched_anew():
    assert faults("keep") < faults("default") / 10


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
@pytest.mark.parametrize(("largest", "taken"), [(2**31, 2), (2**25, 2), (2**20, 0)])
def test_one_threshold_is_not_set_without_the_other(
    largest: int, taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[int] = []

    def mallopt(option: int, value: int) -> int:
        ok = option != MMAP_THRESHOLD or value <= largest
        if ok:
            said.append(option)
        return int(ok)

    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace(mallopt=mallopt))
    keep_freed_memory()
    assert said == [MMAP_THRESHOLD, TRIM_THRESHOLD][:taken]
