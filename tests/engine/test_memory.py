import subprocess
import sys

import pytest

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
