"""The same releases under several protocols, side by side.

`python -m ntprune.experiments.protocols ntp=runs/mnist-usps/release admm=runs/admm --target usps`

How much of the protection that the polite protocol reports is left under the strict one, and what
an audit costs that finds the scratch runs and the controls of an earlier one in its ledger. An
audit that is done is not run again; one that was stopped is taken up where it was.
"""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ntprune.audit.schema import Envelope, Report
from ntprune.errors import NtpruneError
from ntprune.experiments.common.arguments import command as command_line
from ntprune.experiments.common.machine import machine
from ntprune.experiments.common.stages import Command, noted, run_stage, typed
from ntprune.release.atomic import write_file


@dataclass(frozen=True)
class Audited:
    """One audit: of what, and what came out."""

    name: str
    report: Report
    seconds: float


def main() -> None:
    """Audit every release by every protocol and write the tables."""
    parser = command_line(__doc__, out="runs/protocols", results="results/protocols")
    parser.add_argument(
        "releases", nargs="+", metavar="NAME=FOLDER", help="what is audited, under what name"
    )
    parser.add_argument("--target", default="usps", help="domain of the thief (usps)")
    parser.add_argument("--protocols", default="paper,standard", help="the polite one first")
    parser.add_argument(
        "--budgets",
        action="append",
        default=[],
        metavar="PROTOCOL=N,N,...",
        help="a stated reduction of one protocol; once for each",
    )
    parser.add_argument("--workers", default="2", help="jobs at a time (2)")
    parser.add_argument("--ledger", type=Path, help="of finished jobs; <out>/jobs if not given")
    given = parser.parse_args()
    for pair in (*given.releases, *given.budgets):
        if "=" not in pair:
            parser.error(f"'{pair}' has no '=': see the usage above")
    budgets = dict(pair.split("=", 1) for pair in given.budgets)
    rules = {
        protocol: ["--protocol", protocol]
        + (["--budgets", budgets[protocol]] if protocol in budgets else [])
        for protocol in given.protocols.split(",")
    }
    ledger = given.ledger or given.out / "jobs"
    engine = ["--engine", "process", "--workers", given.workers]
    options = ["--target", given.target, "--ledger", str(ledger), *engine]
    releases = dict(pair.split("=", 1) for pair in given.releases)
    try:
        run(releases, rules, options, given.out, given.results)
    except NtpruneError as error:
        parser.exit(2, f"{error}\n")


def run(
    releases: Mapping[str, str],
    rules: Mapping[str, list[str]],
    options: list[str],
    out: Path,
    results: Path,
    command: Command = typed,
) -> None:
    """Audit each of `releases` (name to folder) by each of `rules` and write the record.

    Args:
        releases: the controls of the first stand for all.
        rules: options of `ntprune audit` by the name of the protocol, the polite one first.
        options: of every audit.
        out: where audits go; one that is done is not run again.
        results: where the record goes.
        command: what runs a command.
    """
    audits: dict[str, list[Audited]] = {protocol: [] for protocol in rules}
    for protocol, own in rules.items():
        for name, release in releases.items():
            folder = out / f"{name}-{protocol}"
            if not (folder / "report.json").exists():
                say = partial(print, file=sys.stderr, flush=True)
                arguments = ["audit", release, *own, *options, "--out", str(folder)]
                run_stage(folder.name, arguments, out, say=say, command=command)
            report = Report.model_validate_json((folder / "report.json").read_bytes())
            seconds = noted(out, folder.name).get("seconds", float("nan"))
            audits[protocol].append(Audited(name, report, seconds))
            _record(audits, out, results)


def _record(audits: dict[str, list[Audited]], out: Path, results: Path) -> None:
    for protocol, done in audits.items():
        for audited in done:
            folder = results / f"{audited.name}-{protocol}"
            folder.mkdir(parents=True, exist_ok=True)
            for file in ("report.json", "points.csv"):
                shutil.copy(out / folder.name / file, folder / file)
    document = {
        "command": shlex.join(["python", "-m", "ntprune.experiments.protocols", *sys.argv[1:]]),
        "stages": {
            f"{audited.name}-{protocol}": noted(out, f"{audited.name}-{protocol}")
            for protocol, done in audits.items()
            for audited in done
        },
        "machine": machine(),
    }
    write_file(results / "run.json", json.dumps(document, indent=1).encode() + b"\n")
    write_file(results / "protocols.md", (gaps(audits) + "\n" + costs(audits)).encode())


def gaps(audits: dict[str, list[Audited]]) -> str:
    """Markdown: the mean gap of every subject under every protocol, and what is left of it.

    Mean gaps, because the protocols' budgets begin and end elsewhere. The controls are those of the
    first release.
    """
    found = {protocol: _envelopes(done) for protocol, done in audits.items() if done}
    lines = [
        "| | "
        + " | ".join(f"{_version(audits[p])}, mean gap (95 %)" for p in found)
        + f" | better than unprotected, {' / '.join(found)} |",
        "|" + "---|" * (len(found) + 2),
    ]
    for subject in next(iter(found.values())):
        seen = {p: rows.get(subject) for p, rows in found.items()}
        cells = [_gap(one) for one in seen.values()]
        gains = [
            f"{100 * (found[p]['unprotected'].mean_gap - one.mean_gap):.1f}" if one else "–"
            for p, one in seen.items()
        ]
        cells.append("" if subject == "unprotected" else " / ".join(gains) + " points")
        lines.append(f"| {subject} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _version(done: list[Audited]) -> str:
    return done[0].report.protocol if done else "–"


def _envelopes(done: list[Audited]) -> dict[str, Envelope]:
    controls = done[0].report.controls
    first = {f"control: {n}" if n != "unprotected" else n: c.envelope for n, c in controls.items()}
    return first | {audited.name: audited.report.envelope for audited in done}


def _gap(found: Envelope | None) -> str:
    if found is None:
        return "–"
    low, high = found.ci95
    return f"{found.mean_gap:+.3f} ({low:+.3f} to {high:+.3f})"


def costs(audits: dict[str, list[Audited]]) -> str:
    """Markdown: jobs of every audit, how many were in the ledger, and how long it took."""
    lines = [
        "| audit | jobs | in the ledger | minutes | flags |",
        "|---|---|---|---|---|",
    ]
    for protocol, done in audits.items():
        for audited in done:
            cost, flags = audited.report.cost, audited.report.flags
            lines.append(
                f"| {audited.name}, {protocol} | {cost.jobs} | {cost.reused} "
                f"({100 * cost.reused / cost.jobs:.0f} %) | {audited.seconds / 60:.1f} | "
                f"{', '.join(dict.fromkeys(flag.name for flag in flags)) or 'none'} |"
            )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
