"""What protection against two targets at once leaves to a thief of either.

`python -m ntprune.experiments.several --out runs/several --results results/several`

One model is protected against each of two targets alone and against both, by their mean and by
the worse of the two; every release is audited on both. A stage that is done is not run again; one
that was stopped is taken up where it was.
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

# The studies' network, number of steps and reduction of the protocol: there are eight audits.
PAIR = replace(PAIRS["mnist-usps-narrow"], audit=AUDIT)
SECOND = "blended:mnist"


def main() -> None:
    """Run the study and write its summary."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/several"))
    parser.add_argument("--results", type=Path, default=Path("results/several"))
    arguments = parser.parse_args()
    try:
        run(PAIR, SECOND, arguments.out, arguments.results)
    except NtpruneError as error:
        parser.exit(2, f"{error}\n")


def run(
    pair: Pair,
    second: str,
    out: Path,
    results: Path,
    *,
    engine: Sequence[str] = ENGINE,
    command: Command = typed,
) -> None:
    """Protect the source of `pair` against its target, `second` and both, and audit on both.

    Args:
        pair: source, one target and the options of the commands.
        second: the other target.
        out, results, engine, command: as of `ntprune.experiments.crossed.run`.

    Raises:
        NtpruneError: as the commands do.
    """
    both = (pair.target, second)
    releases = {
        "against-both-by-the-mean": Against(both),
        "against-both-by-the-worst": Against(both, {"combine": "worst"}),
        f"against-{plain(pair.target)}": Against((pair.target,)),
        f"against-{plain(second)}": Against((second,)),
    }
    run_crossed(pair, releases, both, out, results, engine=engine, command=command)


if __name__ == "__main__":
    main()
