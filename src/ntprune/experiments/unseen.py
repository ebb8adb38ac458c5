"""What protection without a known target costs, and what it buys on targets it never saw.

`python -m ntprune.experiments.unseen --out runs/unseen --results results/unseen`

One model is protected twice, against synthetic neighbours of its source (`--target none`) and
against a named target; both releases are audited on the named target and on others that neither
has seen. A stage that is done is not run again; one that was stopped is taken up where it was.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ntprune.errors import NtpruneError
from ntprune.experiments.crossed import Against, plain
from ntprune.experiments.crossed import run as run_crossed
from ntprune.experiments.named_pairs import PAIRS, Pair
from ntprune.experiments.pairs import ENGINE
from ntprune.experiments.stages import Command, typed
from ntprune.experiments.study.workshop import AUDIT

# The studies' network and their reduction of the protocol, since there are four audits, but all of
# the method's steps.
PAIR = replace(PAIRS["mnist-usps-narrow"], audit=AUDIT, protect={})
UNSEEN = ("blended:mnist",)


def main() -> None:
    """Run the study and write its summary."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/unseen"))
    parser.add_argument("--results", type=Path, default=Path("results/unseen"))
    arguments = parser.parse_args()
    try:
        run(PAIR, UNSEEN, arguments.out, arguments.results)
    except NtpruneError as error:
        parser.exit(2, f"{error}\n")


def run(
    pair: Pair,
    unseen: Sequence[str],
    out: Path,
    results: Path,
    *,
    engine: Sequence[str] = ENGINE,
    command: Command = typed,
) -> None:
    """Protect the source of `pair` twice and audit both releases on its target and on `unseen`.

    Args:
        pair: source, named target and the options of the commands.
        unseen: further targets of the audits.
        out, results, engine, command: as of `ntprune.experiments.crossed.run`.

    Raises:
        NtpruneError: as the commands do.
    """
    releases = {f"against-{plain(name)}": Against((name,)) for name in ("none", pair.target)}
    targets = (pair.target, *unseen)
    run_crossed(pair, releases, targets, out, results, engine=engine, command=command)


if __name__ == "__main__":
    main()
