"""Pretrain, protect and audit on named pairs of domains, and record what came out.

`python -m ntprune.experiments.pairs --out runs --results results/pairs [PAIR ...]`

Every stage is the command a user would type. A stage that is done is not run again; an audit that
was stopped is taken up where it was, and the audits of a pair share a ledger:

- `standard/1`, whole or reduced as the pair says;
- `paper/1`, reduced likewise;
- of the control `admm`, ADMM on the source alone at the release's sparsity and with as many steps
  as its rounds and finish have, by both.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from ntprune.errors import ConstraintError, NtpruneError, TrainingDivergedError
from ntprune.experiments.common.arguments import command as command_line
from ntprune.experiments.common.named_pairs import (
    RECORD,
    named_pair,
    options,
    pretrain_command,
    protect_command,
)
from ntprune.experiments.common.recorded import record
from ntprune.experiments.common.stages import Command, note, run_missing, typed
from ntprune.experiments.common.summary import REFUSED, summarise
from ntprune.experiments.study.variants import source_only
from ntprune.release.atomic import write_file

ENGINE = ["--engine", "process", "--workers", "2"]
STRICT = {"protocol": "standard/1"}
POLITE = {"protocol": "paper/1"}
# The control is a figure to compare with, not a claim: thieves that train from what is there do.
PLAIN = {
    "attacks": "finetune,finetune-new-head,masked,masked-new-head",
    "controls": "unprotected",
}


def main() -> None:
    """Run the pairs named on the command line, or those of the record."""
    parser = command_line(__doc__, out="runs", results="results/pairs")
    parser.add_argument(
        "pairs",
        nargs="*",
        default=list(RECORD),
        metavar="PAIR",
        help=f"all of the record if none is named: {', '.join(RECORD)}",
    )
    arguments = parser.parse_args()
    try:
        for name in arguments.pairs:
            named_pair(name)  # before hours are spent
    except NtpruneError as error:
        parser.exit(2, f"{error}\n")
    failed = []
    for name in arguments.pairs:
        try:
            run(name, arguments.out / name, arguments.results / name)
            (arguments.results / name / f"{REFUSED}.json").unlink(missing_ok=True)
        except (NtpruneError, RuntimeError) as error:
            failed.append(f"{name}: {error}")
            # A pair that can't be protected is reported like any other, and no end of the rest;
            # a full disk is no finding.
            reason = str(error)
            if ConstraintError.lost_in(reason) is not None or TrainingDivergedError.said_in(reason):
                note(arguments.results / name, REFUSED, reason=reason)
        write_file(arguments.results / "summary.md", summarise(arguments.results).encode())
    if failed:
        raise SystemExit("\n".join(failed))


def run(name: str, out: Path, results: Path, command: Command = typed) -> None:
    """One pair: work below `out`, the record to `results`."""
    pair = named_pair(name)
    base, release, control = out / "base", out / "release", out / "source-only"
    settings = pair.settings
    plain = source_only(pair, "admm", settings["sparsity"])

    def attack(subject: Path, folder: str, rules: dict[str, str]) -> list[str]:
        places = ["--out", str(out / folder), "--ledger", str(out / "jobs"), *ENGINE]
        return ["audit", str(subject), "--target", pair.target, *options(rules), *places]

    stages = {
        "pretrain": (base, pretrain_command(pair, str(base))),
        "protect": (release, protect_command(pair, str(base), str(release), settings)),
        "audit": (
            out / "audit" / "report.json",
            attack(release, "audit", STRICT | pair.audit),
        ),
        "report": (
            out / "report.html",
            ["report", str(out / "audit"), "--out", str(out / "report.html")],
        ),
        "paper": (
            out / "paper" / "report.json",
            attack(release, "paper", POLITE | pair.polite),
        ),
        "protect-source-only": (
            control,
            protect_command(pair, str(base), str(control), plain, "admm"),
        ),
        "audit-source-only": (
            out / "audit-source-only" / "report.json",
            attack(control, "audit-source-only", STRICT | pair.audit | PLAIN),
        ),
        "paper-source-only": (
            out / "paper-source-only" / "report.json",
            attack(
                control, "paper-source-only", POLITE | pair.polite | {"controls": "unprotected"}
            ),
        ),
    }
    run_missing(stages, out, command=command)
    record(name, release, out / "audit", {stage: (out, stage) for stage in stages}, results)
    for folder in ("paper", "audit-source-only", "paper-source-only"):
        shutil.copy(out / folder / "report.json", results / f"{folder}.json")
        shutil.copy(out / folder / "points.csv", results / f"{folder}.csv")


if __name__ == "__main__":
    main()
