"""What a figure was measured on, and by which commit."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from pathlib import Path
from typing import Any

_FIELD = re.compile(r"^([^\t:]+?)\s*: *(.*)$", re.MULTILINE)


def machine() -> dict[str, Any]:
    """Processor, cores, the versions that speed depends on, and the commit of a checkout."""
    import torch

    import ntprune
    from ntprune.release.card import versions

    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "system": platform.system(),
        "versions": versions(),
        "commit": _commit(Path(ntprune.__file__).parent),
    }


def _processor(place: Path = Path("/proc/cpuinfo")) -> str:
    """Its name, and where the system says so the family and model that tell generations apart."""
    try:
        text = place.read_text()
    except OSError:
        return platform.processor()
    said: dict[str, str] = dict(_FIELD.findall(text.split("\n\n", 1)[0]))
    if "model name" not in said:
        return platform.processor()
    if {"cpu family", "model"} <= said.keys():
        return "{model name} (family {cpu family}, model {model})".format_map(said)
    return said["model name"]


def _commit(place: Path) -> str | None:
    """Of the checkout that the folder `place` is tracked in, marked where its files differ from it.

    What else differs, such as results that are being written, makes no other figures.

    None where ntprune is installed as a package, or there is no git.
    """

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(place), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        # A package that is installed below somebody else's checkout is ignored there.
        if not git("ls-files", "."):
            return None
        changed = git("status", "--porcelain", "--untracked-files=no", ".")
        return git("rev-parse", "HEAD") + ("+changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None
