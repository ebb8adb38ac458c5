"""What each deviation of the `paper` preset from the textbook does, measured once.

`python -m ntprune.experiments.deviations --out runs/deviations --results results/deviations`

One model is protected by the preset as it is and with one deviation at a time taken back, and every
release is audited alike. Releases that are there are kept, and a protection or an audit that was
stopped is taken up where it was.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ntprune.audit import Protocol, audit
from ntprune.audit.protocol import QUICK
from ntprune.audit.schema import Report
from ntprune.domains import Domain, domain
from ntprune.errors import (
    AuditError,
    ConstraintError,
    LayerCollapseError,
    NtpruneError,
    TrainingDivergedError,
)
from ntprune.experiments.common.arguments import command as command_line
from ntprune.experiments.common.machine import machine
from ntprune.experiments.common.once import once
from ntprune.experiments.common.stages import note, noted
from ntprune.experiments.deviations_table import table
from ntprune.methods import make_method, pretrain, protect
from ntprune.methods.checkpoint import beside
from ntprune.release import Release
from ntprune.release.atomic import write_file

# What a variant may come to; anything else is a mistake.
FOUND = (LayerCollapseError, TrainingDivergedError, ConstraintError, AuditError)
# What each variant does otherwise than the authors.
VARIANTS: dict[str, dict[str, Any]] = {
    "paper": {},
    "squared-penalty": {"squared_penalty": True},
    "rho-times-10": {"rho": 0.05},
    "rho-times-10-same-threshold": {"rho": 0.05, "tau": 1e-3},
    "rho-adapts": {"adapt_rho": True},
    "masks-return": {"masks_return": True, "apply_last_mask": True},
    "five-passes": {"epochs": 5},
    "optimiser-kept": {"keep_optimiser": True},
    "no-weight-decay": {"weight_decay": 0.0},
    "dual-forgotten": {"forget_pruned_dual": True},
    "normalisation-spared": {"prune_normalisation": False},
    "last-mask-applied": {"apply_last_mask": True},
    "z-released": {"release_z": True},
    "head-refitted": {"refit_target_head": True},
    "source-statistics": {"source_statistics": True},
    "textbook": {
        "squared_penalty": True,
        "adapt_rho": True,
        "masks_return": True,
        "keep_optimiser": True,
        "weight_decay": 0.0,
        "release_z": True,
    },
}


# The pruned controls would have to be made anew for the sparsity of every variant.
CONTROLS = ("unprotected", "null")


@dataclass(frozen=True)
class Study:
    """What is protected from what, and how it is audited.

    Attributes:
        source, target: domain names.
        pretrain: options of the verb.
        protect: settings of the preset in every variant, the authors' where not named.
        budgets: of the thief.
        rules: protocol of the audits, which make none but the controls `CONTROLS`.
        seed: of the model and of the protection; one protection a variant.
    """

    source: str = "mnist"
    target: str = "usps"
    pretrain: dict[str, Any] = field(default_factory=dict)
    protect: dict[str, Any] = field(default_factory=dict)
    budgets: tuple[int, ...] = (16, 128, 1024)
    rules: Protocol = QUICK
    seed: int = 0


def main() -> None:
    """Run the variants named on the command line, or all."""
    parser = command_line(__doc__, out="runs/deviations", results="results/deviations")
    parser.add_argument(
        "variants",
        nargs="*",
        default=list(VARIANTS),
        metavar="VARIANT",
        help="all if none is named; a name that doesn't exist prints them",
    )
    parser.add_argument("--source", default=Study.source, help=f"domain ({Study.source})")
    parser.add_argument("--target", default=Study.target, help=f"domain ({Study.target})")
    parser.add_argument("--model", default="convnet", help="architecture (convnet)")
    parser.add_argument("--width", type=int, help="channels of its first stage")
    parser.add_argument("--size", type=int, default=16, help="pixels that it reads (16)")
    parser.add_argument("--epochs", type=float, default=4, help="of pretraining (4)")
    parser.add_argument(
        "--budgets",
        type=_counts,
        default="16,128,1024",
        metavar="N,N,...",
        help="of the audits (16,128,1024)",
    )
    parser.add_argument(
        "--set",
        type=_setting,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="in every variant",
    )
    parser.add_argument("--seed", type=int, default=0, help="of model and protections (0)")
    parser.add_argument("--data-root", type=Path, help="folder of the domains' files")
    parser.add_argument("--workers", type=int, default=2, help="jobs at a time (2)")
    given = parser.parse_args()
    if unknown := sorted(set(given.variants) - set(VARIANTS)):
        parser.error(f"unknown variant '{unknown[0]}': choose from {', '.join(VARIANTS)}")
    study = Study(
        source=given.source,
        target=given.target,
        pretrain={
            "architecture": given.model,
            "width": given.width,
            "size": given.size,
            "epochs": given.epochs,
        },
        protect=dict(given.set),
        budgets=given.budgets,
        seed=given.seed,
    )
    try:
        run(study, given.variants, given.out, given.results, given.data_root, given.workers)
    except NtpruneError as error:
        parser.exit(2, f"{error}\n")


def _counts(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(n) for n in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"'{text}': give counts such as 16,128,1024") from error


def _setting(pair: str) -> tuple[str, Any]:
    name, _, value = pair.partition("=")
    try:
        return name, yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise argparse.ArgumentTypeError(f"'{pair}': {value!r} is no YAML") from error


def run(
    study: Study,
    variants: list[str],
    out: Path,
    results: Path,
    data_root: Path | None = None,
    workers: int = 1,
) -> None:
    """Work below `out`; after every variant the table and the record in `results` are written.

    Variants that `results` has of the same study, machine and versions already stay in both.
    """
    make_method("ntp", preset="paper", **study.protect)  # a wrong setting ends it here
    source, target = domain(study.source, data_root), domain(study.target, data_root)
    base = once(
        out / "base",
        lambda: pretrain(source=source, seed=study.seed, device="cpu", **study.pretrain),
        study.pretrain | {"seed": study.seed, "source": source.name},
    )
    rows = _recorded(study, results)
    for name in variants:
        print(f"{name}: {VARIANTS[name] or 'as it is'}", file=sys.stderr, flush=True)
        place = out / name
        try:
            release = _protected(study, name, place, base, source, target)
            report = audit(
                place / "release",
                target,
                source=source,
                protocol=study.rules,
                budgets=study.budgets,
                controls=CONTROLS,
                out=place / "audit",
                ledger=out / "jobs",
                engine="process" if workers > 1 else "inline",
                workers=workers,
                device="cpu",
                data_root=data_root,
            ).report
            rows[name] = _row(name, place, release, report)
        except FOUND as error:
            # A variant that empties the network or diverges is a finding, and no end.
            rows[name] = {"settings": VARIANTS[name], "failed": str(error)}
        _write(study, rows, results)


def _protected(
    study: Study, name: str, place: Path, base: Release, source: Domain, target: Domain
) -> Release:
    def make() -> Release:
        start = time.monotonic()
        made = protect(
            base,
            source,
            target,
            preset="paper",
            seed=study.seed,
            device="cpu",
            checkpoint=beside(place / "release"),
            **(study.protect | VARIANTS[name]),
        )
        note(place, "protect", seconds=round(time.monotonic() - start, 1))
        return made

    settings = make_method("ntp", preset="paper", **(study.protect | VARIANTS[name])).settings
    wanted = settings.model_dump(mode="json") | {"seed": study.seed}
    wanted |= {"source": source.name, "targets": [target.name]}
    return once(place / "release", make, wanted)


def _row(name: str, place: Path, release: Release, report: Report) -> dict[str, Any]:
    """What was done and what came of it; areas are to scratch, over log10 of the budget."""
    envelope = report.envelope
    return {
        "settings": VARIANTS[name],
        "iterations": len(release.history),
        "steps": release.card.steps,
        "seconds": noted(place, "protect")["seconds"],
        "sparsity": release.card.sparsity,
        "sparsity_of_last_mask": release.history[-1]["sparsity"],
        "emptied_layers": [layer for layer, share in release.card.layers.items() if share == 1],
        "source_before": report.source.before,
        "source_after": report.source.after,
        "slc_auc": {attack: report.attacks[attack].slc_auc for attack in report.attacks},
        "envelope": {
            "slc_auc": envelope.slc_auc,
            "mean_gap": envelope.mean_gap,
            "ci95": list(envelope.ci95),
        },
        "unprotected": report.controls["unprotected"].envelope.slc_auc,
        "flags": [flag.name for flag in report.flags],
        "protocol": report.protocol,
    }


def _asked(study: Study) -> dict[str, Any]:
    return {
        "source": study.source,
        "target": study.target,
        "pretrain": study.pretrain,
        "protect": study.protect,
        "budgets": list(study.budgets),
        "attacks": list(study.rules.attacks),
        "seeds": {"protection": study.seed, "thieves": list(study.rules.thieves)},
    }


def _recorded(study: Study, results: Path) -> dict[str, dict[str, Any]]:
    """The variants that `results` has of this very study, made on this machine."""
    file = results / "deviations.json"
    document: dict[str, Any] = json.loads(file.read_bytes()) if file.exists() else {}
    wanted = _asked(study) | {"machine": machine()}
    if any(document.get(key) != value for key, value in wanted.items()):
        return {}
    rows: dict[str, dict[str, Any]] = document["variants"]
    return rows


def _write(study: Study, rows: dict[str, dict[str, Any]], results: Path) -> None:
    document = {
        "command": shlex.join(["python", "-m", "ntprune.experiments.deviations", *sys.argv[1:]]),
        **_asked(study),
        "machine": machine(),
        "variants": {name: rows[name] for name in VARIANTS if name in rows},
    }
    results.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    write_file(results / "deviations.json", text.encode())
    write_file(results / "deviations.md", table(document).encode())


if __name__ == "__main__":
    main()
