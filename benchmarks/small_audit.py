"""An audit of seconds, for what has to be run a hundred times: `python -m benchmarks.small_audit`.

The verb, the engine and the files are those of any audit; only the protocol is short.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ntprune.audit import audit
from ntprune.audit.protocol import QUICK, Recipe
from ntprune.domains import domain

TARGET = "blended:optdigits"
BUDGETS = [8, 16, 32]
PROTOCOL = QUICK.model_copy(
    update={
        "name": "small/1",
        "seeds": 2,
        "recipe": Recipe(lrs=(3e-3, 1e-2), min_steps=40),
    }
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("release", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    audit(
        given.release,
        domain(TARGET),
        protocol=PROTOCOL,
        budgets=BUDGETS,
        out=given.out,
        engine="process",
        workers=2,
        device="cpu",
    )


if __name__ == "__main__":
    main()
