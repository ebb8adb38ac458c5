"""What protection without a known target costs, and what it buys on targets it never saw.

`python -m ntprune.experiments.unseen --out runs/unseen --results results/unseen`

One model is protected twice, against synthetic neighbours of its source (`--target none`) and
against a named target; both releases are audited on the named target and on others that neither
has seen. A stage that is done is not run again; one that was stopped is taken up where it was.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from ntprune.errors import NtpruneError
from ntprune.experiments.named_pairs import (
    PAIRS,
    Pair,
    options,
    pretrain_command,
    protect_command,
)
from ntprune.experiments.pairs import ENGINE
from ntprune.experiments.recorded import record
from ntprune.experiments.stages import Command, run_stage, typed
from ntprune.experiments.study.workshop import AUDIT
from ntprune.experiments.summary import summarise
from ntprune.release.atomic import write_file

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
        out: folder of the work.
        results: folder of the records, one each audit, and of `summary.md`.
        engine: options of the audits that no figure depends on.
        command: runs `ntprune`.

    Raises:
        NtpruneError: as the commands do.
    """

    def stage(name: str, arguments: list[str], product: Path) -> tuple[Path, str]:
        if not product.exists():
            say = partial(print, file=sys.stderr, flush=True)
            run_stage(name, arguments, out, say=say, command=command)
        return out, name

    base = out / "base"
    notes = {"pretrain": stage("pretrain", pretrain_command(pair, str(base)), base)}
    for against in ("none", pair.target):
        release = out / f"against-{_plain(against)}"
        protect = protect_command(
            replace(pair, target=against), str(base), str(release), pair.settings
        )
        notes["protect"] = stage(f"protect-{release.name}", protect, release)
        for target in (pair.target, *unseen):
            name = f"{release.name}-on-{_plain(target)}"
            audit = out / name
            # What a thief gets from nothing and from the unprotected model is measured once.
            attack = ["audit", str(release), "--target", target, "--out", str(audit)]
            attack += [*options(pair.audit), "--ledger", str(out / "jobs"), *engine]
            notes["audit"] = stage(f"audit-{name}", attack, audit / "report.json")
            record(name, release, audit, notes, results / name)
            write_file(results / "summary.md", summarise(results).encode())


def _plain(name: str) -> str:
    """A domain's name as part of a file's."""
    return "".join(c if c.isalnum() else "-" for c in name).strip("-")


if __name__ == "__main__":
    main()
