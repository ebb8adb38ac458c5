"""Larger networks on one pair of domains: trained, protected and audited.

`python -m ntprune.experiments.larger --out runs/larger --results results/larger [NETWORK ...]`

Every stage is the command a user would type, and one that is done is not run again. The settings
of `ntp` are those of every pair but for the steps of rounds and finish, of which two cores can
afford few at 32×32 pixels; the audits are a stated reduction of `quick/1`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ntprune.errors import NtpruneError
from ntprune.experiments.common.arguments import command as command_line
from ntprune.experiments.common.named_pairs import Pair, options, pretrain_command, protect_command
from ntprune.experiments.common.recorded import record
from ntprune.experiments.common.stages import Command, run_missing, typed
from ntprune.experiments.common.summary import summarise
from ntprune.experiments.pairs import ENGINE
from ntprune.release.atomic import write_file

_AUDIT = {
    "protocol": "quick/1",
    "budgets": "16,128",
    "attacks": "finetune,finetune-new-head",
    "controls": "unprotected",
}
# A quarter of the default's steps in the rounds, a tenth or less in the finish.
_ROUNDS = {"rounds": 8, "inner": 15}


def _network(finish: int, checks: int, **pretrain: Any) -> Pair:
    protect = _ROUNDS | {"finish": finish, "checks": checks}
    return Pair("mnist", "usps", {"size": 32, **pretrain}, _AUDIT, {}, protect)


NETWORKS = {
    # Torchvision's own first layers, which leave 8×8 of 32×32 pixels: keeping the resolution
    # makes a step fourteen times as long.
    "resnet18": _network(100, 5, model="resnet18", stem="imagenet", epochs=2),
    # A step takes three times as long as the former's.
    "vgg11_bn": _network(60, 4, model="vgg11_bn", epochs=1),
}


def main() -> None:
    """Run the networks named on the command line, or all."""
    parser = command_line(__doc__, out="runs/larger", results="results/larger")
    parser.add_argument(
        "networks",
        nargs="*",
        default=list(NETWORKS),
        metavar="NETWORK",
        help=f"all if none is named: {', '.join(NETWORKS)}",
    )
    given = parser.parse_args()
    unknown = sorted(set(given.networks) - set(NETWORKS))
    if unknown:
        parser.error(f"unknown network '{unknown[0]}': choose of {', '.join(NETWORKS)}")
    try:
        run({name: NETWORKS[name] for name in given.networks}, given.out, given.results)
    except NtpruneError as error:
        parser.exit(2, f"{error}\n")


def run(
    networks: Mapping[str, Pair],
    out: Path,
    results: Path,
    *,
    engine: Sequence[str] = ENGINE,
    command: Command = typed,
) -> None:
    """Each of `networks`: work below `out`, the record below `results`.

    Args:
        networks: the pair with its options, by the name of the network.
        out: folder of the work.
        results: folder of the records, one each network, and of `summary.md`.
        engine: options of the audits that no figure depends on.
        command: runs `ntprune`.

    Raises:
        NtpruneError: as the commands do.
    """
    for name, pair in networks.items():
        place = out / name
        base, release, audit = place / "base", place / "release", place / "audit"
        attack = ["audit", str(release), "--target", pair.target, "--out", str(audit)]
        attack += ["--ledger", str(place / "jobs")]
        stages = {
            "pretrain": (base, pretrain_command(pair, str(base))),
            "protect": (release, protect_command(pair, str(base), str(release), pair.settings)),
            "audit": (audit / "report.json", attack + options(pair.audit) + [*engine]),
        }
        run_missing(stages, place, command=command)
        record(name, release, audit, {stage: (place, stage) for stage in stages}, results / name)
        write_file(results / "summary.md", summarise(results).encode())


if __name__ == "__main__":
    main()
