"""Which cheap figure on the defender's validation data foretells what an audit finds?

`python -m ntprune.experiments.proxies PLACE ... --results results/proxies`

A place is `RELEASE:AUDIT`, a folder that holds `release` and `audit`, or a folder of such folders.
The unprotected model, taken from `release.owner`, counts as a release too; a pruned control in a
ledger's `releases` has to be named as `RELEASE:AUDIT`.
"""

from __future__ import annotations

import json
import math
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from ntprune.engine import threads
from ntprune.errors import NtpruneError, SettingsError
from ntprune.experiments.common.arguments import command as command_line
from ntprune.experiments.common.audited import GAPS, Audited, find, read
from ntprune.experiments.common.machine import machine
from ntprune.experiments.proxy_scores import PROXIES, Defended
from ntprune.experiments.scatter import scatter
from ntprune.metrics import rank_agreement
from ntprune.release.atomic import write_file


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, correlate and record."""
    parser = command_line(__doc__, out=None, results="results/proxies")
    parser.add_argument(
        "places", nargs="+", metavar="PLACE", help="folders of studies, or RELEASE:AUDIT"
    )
    parser.add_argument("--data-root", type=Path, help="folder of the domains' files")
    parser.add_argument("--seed", type=int, default=0, help="of what the proxies draw")
    given = parser.parse_args(arguments)
    try:
        releases = _measured(given.places, given.data_root, given.seed)
    except NtpruneError as error:
        parser.exit(2, f"{error}\n")
    command = ["python", "-m", "ntprune.experiments.proxies", *(arguments or sys.argv[1:])]
    document = {
        "command": shlex.join(command),
        "seed": given.seed,
        "proxies": {name: words for name, (words, _) in PROXIES.items()},
        "releases": releases,
        "agreement": {gap: agreement(releases, gap) for gap in GAPS},
        "machine": machine(),
    }
    write_file(given.results / "proxies.json", json.dumps(document, indent=1).encode() + b"\n")
    write_file(given.results / "proxies.md", table(document).encode())
    write_file(given.results / "scatter.svg", scatter(releases, list(PROXIES), GAPS[-1]).encode())


def _measured(places: list[str], root: Path | None, seed: int) -> list[dict[str, Any]]:
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for folder, audit in find(places):
        audited = read(folder, audit, root)
        key = audited.group, audited.release.card.weights_sha256
        # Variants of one experiment share their unprotected model.
        if key not in rows:
            rows[key] = measure(audited, seed)
            print(json.dumps(rows[key]), file=sys.stderr, flush=True)
    return list(rows.values())


def measure(audited: Audited, seed: int) -> dict[str, Any]:
    """Every proxy of one release, with the seconds it took on one thread.

    The feature maps, which the first three share, are counted with the first of them.
    """
    scores, seconds = {}, {}
    with threads(1):
        defended = Defended(audited.release, audited.target, seed)
        for name, (_, score) in PROXIES.items():
            start = time.perf_counter()
            scores[name] = score(defended)
            seconds[name] = round(time.perf_counter() - start, 2)
    card = audited.release.card
    return {
        "folder": str(audited.folder),
        "group": audited.group,
        "subject": audited.subject,
        "method": card.method,
        "sparsity": card.sparsity,
        "weights_sha256": card.weights_sha256,
        "gaps": audited.gaps,
        "scores": scores,
        "seconds": seconds,
    }


def agreement(releases: list[dict[str, Any]], gap: str) -> dict[str, dict[str, Any]]:
    """Rank correlation of each proxy with the audited `gap`, over the releases that have it.

    Empty where no two of them can be compared. What is not defined is null.
    """
    there = [row for row in releases if gap in row["gaps"]]
    groups = [row["group"] for row in there]
    truth = [row["gaps"][gap] for row in there]
    found = {}
    for name in PROXIES:
        try:
            one = rank_agreement([row["scores"][name] for row in there], truth, groups)
        except SettingsError:
            return {}
        found[name] = {key: _null(value) for key, value in asdict(one).items()}
    return found


def _null(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_null(end) for end in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def table(document: dict[str, Any]) -> str:
    """Markdown: agreement by audited figure, then every release."""
    releases = document["releases"]
    parts = [
        "Rank correlation of cheap figures with the audited SLC-AUC, over pairs of releases with "
        "the same source, target, network and protocol. Every proxy is larger the more head start "
        "it sees, so 1 is best. p: share of the orders within groups that agree at least as well "
        "(one-sided; over all orders, or 10,000 drawn); interval: 95 % of a bootstrap over "
        "releases, which has no width where agreement is perfect. Neither knows of the audit's own "
        "noise."
    ]
    for gap, found in document["agreement"].items():
        if not found:
            continue
        count = sum(gap in row["gaps"] for row in releases)
        pairs = next(iter(found.values()))["pairs"]
        parts += [
            f"\nAudited figure: `{gap}`, {count} releases, {pairs} pairs.\n",
            "| proxy | what it is | Spearman (p) | Kendall (p; interval) | seconds (median) |",
            "|---" * 5 + "|",
        ]
        parts += [
            f"| `{name}` | {document['proxies'][name]} | {_signed(one['spearman'])} "
            f"({_chance(one['spearman_p'])}) | {_signed(one['kendall'])} "
            f"({_chance(one['kendall_p'])}; {' to '.join(map(_signed, one['interval']))}) | "
            f"{median(row['seconds'][name] for row in releases):.1f} |"
            for name, one in found.items()
        ]
    names = list(document["proxies"])
    for group in dict.fromkeys(row["group"] for row in releases):
        parts += [
            f"\n{group}:\n",
            "| release | " + " | ".join([*GAPS, *names]) + " |",
            "|---" * (1 + len(GAPS) + len(names)) + "|",
        ]
        for row in releases:
            if row["group"] == group:
                figures = [_signed(row["gaps"].get(gap)) for gap in GAPS]
                figures += [_signed(row["scores"][name]) for name in names]
                label = f"`{row['folder']}` ({row['subject']})"
                parts.append(f"| {label} | " + " | ".join(figures) + " |")
    at = document["machine"]
    parts.append(
        f"\n{at['processor']}, torch {at['versions']['torch']}, one thread. "
        f"`{document['command']}`\n"
    )
    return "\n".join(parts)


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value:+.3f}"


def _chance(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


if __name__ == "__main__":
    main()
