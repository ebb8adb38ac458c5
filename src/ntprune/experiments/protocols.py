"""The same releases under several protocols, side by side.

`python -m ntprune.experiments.protocols ntp=runs/mnist-usps/release admm=runs/admm --target usps`

How much of the protection that the polite protocol reports is left under the strict one, and what
an audit costs that finds the scratch runs and the controls of an earlier one in its ledger. An
audit that is done is not run again; one that was stopped is taken up where it was.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ntprune.audit.schema import Envelope, Report
from ntprune.experiments.machine import machine
from ntprune.experiments.stages import noted, run_stage
from ntprune.release.atomic import write_file


@dataclass(frozen=True)
class Audited:
    """One audit: of what, and what came out."""

    name: str
    report: Report
    seconds: float


def main() -> None:
    """Audit every release by every protocol and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("releases", nargs="+", metavar="NAME=FOLDER")
    parser.add_argument("--target", default="usps")
    parser.add_argument("--protocols", default="paper,standard", help="the polite one first")
    parser.add_argument("--workers", default="2")
    parser.add_argument("--out", type=Path, default=Path("runs/protocols"))
    parser.add_argument("--results", type=Path, default=Path("results/protocols"))
    given = parser.parse_args()
    releases = dict(pair.split("=", 1) for pair in given.releases)
    protocols = given.protocols.split(",")
    audits: dict[str, list[Audited]] = {protocol: [] for protocol in protocols}
    for protocol in protocols:
        for name, release in releases.items():
            options = ["--target", given.target, "--protocol", protocol, "--workers", given.workers]
            audits[protocol].append(_audit(name, protocol, release, options, given.out))
            _record(audits, given.out, given.results)


def _audit(name: str, protocol: str, release: str, options: list[str], out: Path) -> Audited:
    folder = out / f"{name}-{protocol}"
    if not (folder / "report.json").exists():
        places = ["--out", str(folder), "--ledger", str(out / "jobs"), "--engine", "process"]
        say = partial(print, file=sys.stderr, flush=True)
        run_stage(folder.name, ["audit", release, *options, *places], out, say=say)
    report = Report.model_validate_json((folder / "report.json").read_bytes())
    return Audited(name, report, noted(out, folder.name).get("seconds", float("nan")))


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
