"""Fake defences: the figures each is sold on beside what an audit finds.

`python -m benchmarks.fakes --source mnist --target usps --protocol standard`

Base, fakes and audits below `--out` are kept, and a run that was stopped is taken up again; the
record goes to `--results`, its table into docs/fakes.md with `--docs`.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.fakes.fake import MARGIN, Fake
from tests.fakes.table import FAKES

import ntprune
from ntprune.audit import audit
from ntprune.domains import Domain
from ntprune.experiments.common.machine import machine
from ntprune.methods import pretrain
from ntprune.metrics import mean_gap
from ntprune.release import Release, load
from ntprune.release.atomic import write_file

START, END = "<!-- fakes:table -->\n", "<!-- /fakes:table -->"


def main(arguments: Sequence[str] | None = None) -> None:
    """Make, sell and audit every fake."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", default="mnist")
    parser.add_argument("--target", default="usps")
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--size", type=int, default=16)
    parser.add_argument("--epochs", type=float, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--protocol", default="standard")
    parser.add_argument("--budgets", help="other sample counts, for instance 8,64,512")
    parser.add_argument("--only", nargs="*", default=[fake.name for fake in FAKES])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("runs/fakes"))
    parser.add_argument("--results", type=Path, default=Path("results/fakes"))
    parser.add_argument("--docs", type=Path, help="page whose table is written, docs/fakes.md")
    given = parser.parse_args(arguments)
    source, target = (ntprune.domain(n, given.data_root) for n in (given.source, given.target))
    base = base_model(
        given.out / "base",
        source,
        width=given.width,
        size=given.size,
        epochs=given.epochs,
        seed=given.seed,
    )
    rules: dict[str, Any] = {
        "protocol": given.protocol,
        "budgets": [int(n) for n in given.budgets.split(",")] if given.budgets else None,
        "engine": "process",
        "workers": given.workers,
        "device": "cpu",
    }
    rows = []
    for fake in FAKES:
        if fake.name in given.only:
            row = measure(fake, base, source, target, given.out, **rules)
            rows.append(row | naive_gaps(fake, base, target, given.out))
            print(rows[-1], file=sys.stderr, flush=True)
    command = shlex.join(["python", "-m", "benchmarks.fakes", *(arguments or sys.argv[1:])])
    document = {
        "command": command,
        "source": given.source,
        "target": given.target,
        "seeds": {"base": given.seed, "naive thieves": [0, 1]},
        "base": base.card.model_dump(mode="json", by_alias=True),
        "fakes": rows,
        "machine": machine(),
    }
    write_file(given.results / "fakes.json", json.dumps(document, indent=1).encode() + b"\n")
    write_file(given.results / "fakes.md", table(document).encode())
    if given.docs:
        write_file(given.docs, filled(given.docs.read_text(), table(document)).encode())


def base_model(place: Path, source: Domain, **settings: Any) -> Release:
    """The unprotected model in the folder `place`, trained if it is not there yet."""
    if not place.exists():
        pretrain("convnet", source, device="cpu", **settings).save(place)
    return load(place)


def measure(
    fake: Fake, base: Release, source: Domain, target: Domain, out: Path, **rules: Any
) -> dict[str, Any]:
    """Make `fake` below `out`, evaluate it as its seller does, and audit it.

    Args:
        fake: row of the table.
        base: the unprotected model.
        source, target: domains.
        out: folder for releases, audits and the ledger they share.
        rules: `protocol` and other arguments of `ntprune.audit`.

    Returns:
        A row of the record but for `naive_gaps`. `naive` and `naive_bare` are the seller's figure
        (accuracy, 0 to 1) for the fake and for the unprotected model.
    """
    place = out / fake.name
    if not place.exists():
        fake.make(base, source, target).save(place)
    found = audit(
        place,
        target,
        source=source,
        out=out / "audits" / fake.name,
        ledger=out / "jobs",
        **rules,
    ).report
    naive, naive_bare = (
        curve[fake.pitch.samples] for curve in _sold(fake, base, target, out, [fake.pitch.samples])
    )
    bare = found.controls["unprotected"].envelope.mean_gap
    flags = {flag.name for flag in found.flags}
    return {
        "fake": fake.name,
        "pitch": fake.pitch.words,
        "naive": naive,
        "naive_bare": naive_bare,
        "fooled": naive < naive_bare - MARGIN,
        "source_drop_pp": found.source.drop_pp,
        "protocol": found.protocol,
        "budgets": found.budgets,
        "mean_gap": round(found.envelope.mean_gap, 4),
        "ci95": [round(end, 4) for end in found.envelope.ci95],
        "unprotected_mean_gap": round(bare, 4),
        "share": round(found.envelope.mean_gap / bare, 4),
        "wanted_share": fake.share,
        "best_attack": max(found.attacks, key=lambda name: found.attacks[name].mean_gap),
        "flags": sorted(flags),
        "naming_flags": sorted(flags & fake.flags),
        "unnamed_flags": sorted(fake.flags - flags),
        "seconds": found.cost.seconds,
    }


def naive_gaps(fake: Fake, base: Release, target: Domain, out: Path) -> dict[str, float]:
    """The seller's thief in the unit of the audit: its mean gaps to the audit's own scratch.

    Args:
        fake, base, target, out: as `measure` had them, and after it.

    Returns:
        `naive_mean_gap` of the fake and `naive_bare_mean_gap` of the unprotected model.
    """
    found = json.loads((out / "audits" / fake.name / "report.json").read_bytes())
    budgets, scratch = found["budgets"], found["scratch"]["curve"]
    gaps = (
        round(mean_gap(budgets, [curve[n] for n in budgets], scratch), 4)
        for curve in _sold(fake, base, target, out, budgets)
    )
    return dict(zip(("naive_mean_gap", "naive_bare_mean_gap"), gaps, strict=True))


def _sold(
    fake: Fake, base: Release, target: Domain, out: Path, counts: Sequence[int]
) -> list[dict[int, float]]:
    """The seller's accuracy by target images, of the fake and of the unprotected model.

    What is kept below `out` is not measured again.
    """
    curves = []
    for release, name in ((load(out / fake.name), ""), (base, "-unprotected")):
        file = out / "sold" / f"{fake.name}{name}.json"
        kept: dict[str, float] = json.loads(file.read_bytes()) if file.exists() else {}
        for n in counts:
            if str(n) not in kept:
                kept[str(n)] = fake.pitch(release, target, n)
                write_file(file, json.dumps(kept).encode())
        curves.append({n: kept[str(n)] for n in counts})
    return curves


def table(document: dict[str, Any]) -> str:
    """Markdown: one row a fake."""
    rows = document["fakes"]
    head = (
        "| fake | sold on | naive number (unprotected) | fools it | naive mean gap (unprotected) | "
        "audited mean gap (95 %) | share of the unprotected's | strongest attack | flags | "
        "source drop |\n" + "|---" * 10 + "|\n"
    )
    cells = [
        [
            f"`{row['fake']}`",
            row["pitch"],
            f"{100 * row['naive']:.1f} % ({100 * row['naive_bare']:.1f} %)",
            "yes" if row["fooled"] else "**no**",
            f"{row['naive_mean_gap']:+.3f} ({row['naive_bare_mean_gap']:+.3f})",
            f"{row['mean_gap']:+.3f} ({row['ci95'][0]:+.3f} to {row['ci95'][1]:+.3f})",
            f"{row['share']:.0%} (wanted {row['wanted_share']:.0%})",
            f"`{row['best_attack']}`",
            _flags(row),
            f"{row['source_drop_pp']:+.2f} pp",
        ]
        for row in rows
    ]
    return head + "".join(f"| {' | '.join(row)} |\n" for row in cells) + _notes(document)


def _flags(row: dict[str, Any]) -> str:
    raised = [f"**{f}**" if f in row["naming_flags"] else f for f in row["flags"]]
    return ", ".join(raised + [f"{f} is missing" for f in row["unnamed_flags"]]) or "none"


def _notes(document: dict[str, Any]) -> str:
    """What the table is of, and which of its rows show nothing that was hidden."""
    rows = document["fakes"]
    first = rows[0]
    plain = [f"`{row['fake']}`" for row in rows if not row["fooled"]]
    honest = (
        f" On this pair {', '.join(plain)} did not fool the evaluation sold on (less than "
        f"{100 * MARGIN:.0f} points below the unprotected model): there the audit had nothing to "
        "uncover."
        if plain
        else ""
    )
    return (
        f"\n{document['source']} → {document['target']}, {first['protocol']}, budgets "
        f"{', '.join(map(str, first['budgets']))}; unprotected mean gap "
        f"{first['unprotected_mean_gap']:+.3f}, source test accuracy "
        f"{100 * document['base']['source']['test']:.2f} %. Naive numbers: two thieves; naive mean "
        f"gaps: the same thieves at these budgets, to the audit's scratch.{honest} Flags in bold "
        f"name the trick. {document['machine']['processor']}, torch "
        f"{document['machine']['versions']['torch']}. `{document['command']}`\n"
    )


def filled(page: str, found: str) -> str:
    """`page` with `found` between its markers."""
    before, _, rest = page.partition(START)
    return f"{before}{START}{found}{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    main()
