"""One model protected against several choices of targets, every release audited on every target."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ntprune.errors import NtpruneError
from ntprune.experiments.common.arguments import command as command_line
from ntprune.experiments.common.named_pairs import Pair, options, pretrain_command, protect_command
from ntprune.experiments.common.recorded import record
from ntprune.experiments.common.stages import Command, run_stage, typed
from ntprune.experiments.common.summary import summarise
from ntprune.experiments.pairs import ENGINE
from ntprune.release.atomic import write_file


@dataclass(frozen=True)
class Against:
    """What a release is protected against.

    Attributes:
        targets: names of domains, or `none` alone.
        settings: of `ntp`, beside those of the pair.
    """

    targets: Sequence[str]
    settings: Mapping[str, Any] = field(default_factory=dict)


def study(
    about: str | None,
    name: str,
    pair: Pair,
    releases: Mapping[str, Against],
    targets: Sequence[str],
) -> None:
    """The command line of a study: `run` with `--out` and `--results`.

    Args:
        about: what `--help` says.
        name: of the study's folders below `runs` and `results`.
        pair, releases, targets: as of `run`.
    """
    parser = command_line(about, out=f"runs/{name}", results=f"results/{name}")
    arguments = parser.parse_args()
    try:
        run(pair, releases, targets, arguments.out, arguments.results)
    except NtpruneError as error:
        parser.exit(2, f"{error}\n")


def run(
    pair: Pair,
    releases: Mapping[str, Against],
    targets: Sequence[str],
    out: Path,
    results: Path,
    *,
    engine: Sequence[str] = ENGINE,
    command: Command = typed,
) -> None:
    """Protect the source of `pair` once for each of `releases` and audit all on all `targets`.

    A stage that is done is not run again; one that was stopped is taken up where it was.

    Args:
        pair: source and options of the commands; its target is not looked at.
        releases: by the name of their folder.
        targets: of the audits.
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
    for folder, against in releases.items():
        release = out / folder
        settings = {**pair.settings, **against.settings}
        protect = protect_command(
            pair, str(base), str(release), settings, targets=tuple(against.targets)
        )
        notes["protect"] = stage(f"protect-{folder}", protect, release)
        for target in targets:
            name = f"{folder}-on-{plain(target)}"
            audit = out / name
            # What a thief gets from nothing and from the unprotected model is measured once.
            attack = ["audit", str(release), "--target", target, "--out", str(audit)]
            attack += [*options(pair.audit), "--ledger", str(out / "jobs"), *engine]
            notes["audit"] = stage(f"audit-{name}", attack, audit / "report.json")
            record(name, release, audit, notes, results / name)
            write_file(results / "summary.md", summarise(results).encode())


def plain(name: str) -> str:
    """A domain's name as part of a file's."""
    return "".join(c if c.isalnum() else "-" for c in name).strip("-")
