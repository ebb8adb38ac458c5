"""Audit folders as `ntprune audit` would leave them, with numbers that look real."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from ntprune.attacks import attack_class
from ntprune.audit.schema import (
    Control,
    Cost,
    Curve,
    Envelope,
    Flag,
    Report,
    ScratchCurve,
    SourceChange,
)

BUDGETS = [8, 42, 225, 1190, 6291]
SCRATCH = [0.35, 0.60, 0.86, 0.94, 0.965]
UNPROTECTED = [0.50, 0.80, 0.94, 0.96, 0.97]
MASKED = [0.30, 0.50, 0.80, 0.90, 0.95]
NULL = [0.12] * 5
THIEVES = ("finetune", "finetune-new-head", "masked", "masked-new-head", "null", "scratch")
LAYERS = {
    "features.0.weight": 0.2673611,
    "features.3.weight": 0.8127170,
    "features.7.weight": 0.9258590,
    "features.10.weight": 0.9610536,
    "features.14.weight": 0.9832094,
    "features.17.weight": 0.9920116,
}


def gaps(curve: list[float]) -> tuple[float, float]:
    """SLC-AUC and mean gap of `curve` against scratch."""
    x = [math.log10(budget) for budget in BUDGETS]
    d = [a - b for a, b in zip(curve, SCRATCH, strict=True)]
    area = sum((x[i + 1] - x[i]) * (d[i] + d[i + 1]) / 2 for i in range(len(x) - 1))
    return area, area / (x[-1] - x[0])


def curve(values: list[float]) -> Curve:
    """One attack that reaches `values`."""
    area, gap = gaps(values)
    return Curve(curve=values, spread=[0.03, 0.02, 0.01, 0.005, 0.002], slc_auc=area, mean_gap=gap)


def envelope(values: list[float], half: float = 0.007, choice: str = "finetune") -> Envelope:
    """The thief's choice, chosen in five runs, with an interval of ± `half`."""
    base = curve(values)
    ends = (base.mean_gap - half, base.mean_gap + half)
    chosen = [{choice: 3, "finetune-new-head": 2} for _ in BUDGETS]
    return Envelope(**base.model_dump(exclude={"ci95"}), ci95=ends, chosen=chosen)


def shifted(values: list[float], by: float) -> list[float]:
    """`values`, all changed by `by`."""
    return [min(0.99, value + by) for value in values]


def control(
    values: list[float],
    source: float,
    sparsity: float,
    lost: tuple[float, float] | None = None,
) -> Control:
    """A control whose thief reaches `values`."""
    return Control(
        source=source,
        drop_ci95_pp=lost,
        sparsity=sparsity,
        attacks={"finetune": curve(values)},
        envelope=envelope(values),
    )


def card(source: str = "mnist", target: str = "usps", **changes: Any) -> dict[str, Any]:
    """A release's card."""
    record = {"name": source, "content_hash": "e8f5249e" * 8, "validation": 0.9847, "test": 0.983}
    return {
        "schema": 1,
        "method": "ntp",
        "settings": {"sparsity": 0.98, "max_source_drop": 1.0, "batch": 128, "alpha": 0.1},
        "model": {
            "architecture": "convnet",
            "classes": [str(digit) for digit in range(10)],
            "stem": "small",
            "width": 32,
            "preprocessing": {"channels": 1, "size": 16, "mean": [0.131], "std": [0.2631]},
        },
        "source": record,
        "base": record | {"validation": 0.9945, "test": 0.991},
        "targets": [target],
        "sparsity": 0.980001,
        "layers": LAYERS,
        "steps": 2000,
        "seed": 0,
        "weights_sha256": "173a6334" * 8,
        "masks_sha256": "3bc6cc6a" * 8,
        "versions": {"python": "3.11.7", "ntprune": "0.1.0", "torch": "2.6.0"},
    } | changes


def report(
    by: float = -0.012, *, half: float = 0.007, target: str = "usps", **changes: Any
) -> Report:
    """An audit whose thief's choice lies `by` above scratch at every budget."""
    free = shifted(SCRATCH, by)
    null = envelope(NULL, choice="null")
    values: dict[str, Any] = {
        "protocol": "standard/1",
        "release": card(target=target),
        "source": SourceChange(
            name="mnist", before=0.991, after=0.983, drop_pp=0.8, ci95_pp=(0.41, 1.23)
        ),
        "target": target,
        "budgets": BUDGETS,
        "scratch": ScratchCurve(curve=SCRATCH, spread=[0.04, 0.03, 0.01, 0.004, 0.002]),
        "attacks": {
            "finetune": curve(free),
            "finetune-new-head": curve(shifted(free, -0.02)),
            "masked": curve(MASKED),
            "masked-new-head": curve(shifted(MASKED, -0.03)),
        },
        "envelope": envelope(free, half),
        "controls": {
            "unprotected": control(UNPROTECTED, 0.991, 0.0),
            "magnitude": control(shifted(SCRATCH, 0.045), 0.978, 0.98, (0.62, 1.98)),
            "random": control(shifted(SCRATCH, -0.01), 0.62, 0.98),
            "null": Control(source=0.983, sparsity=0.98, attacks={"null": null}, envelope=null),
        },
        "threats": {name: attack_class(name).threat for name in THIEVES},
        "flags": [],
        "versions": {"python": "3.11.7", "ntprune": "0.1.0", "torch": "2.6.0"},
        "cost": Cost(jobs=350, steps=182000, seconds=5230.4),
    }
    return Report(**(values | changes))


def flag(name: str = "rate-on-edge") -> Flag:
    """A flag."""
    return Flag(name=name, message="The best learning rate of 'masked' is the highest one tried.")


def history() -> list[dict[str, Any]]:
    """Records as `ntp` keeps them."""
    rounds = [
        {
            "phase": "admm",
            "step": 40 * i,
            "source_loss": 0.15 / i + 0.02,
            "target_loss": 2.5 + 0.1 * i,
            "fisher": 0.4 / i**0.5,
            "drop_pp": 2.4 - 0.1 * i,
            "strength": 1.0,
            "sparsity": 0.98 * (1 - (1 - i / 20) ** 3),
            "primal": 0.5 / i,
            "dual": 7.0 / i**2,
            "rho": 0.1,
        }
        for i in range(1, 21)
    ]
    finish = [
        {
            "phase": "finish",
            "step": 800 + 60 * i,
            "source_loss": 0.03,
            "target_loss": 4.4,
            "fisher": 0.05 + 0.04 / i,
            "drop_pp": 1.4 - 0.03 * i,
            "strength": 0.8,
            "sparsity": 0.98,
            "thief": -1.2 - 0.02 * i,
        }
        for i in range(1, 21)
    ]
    return rounds + finish


def write(folder: Path, audit: Report, records: list[dict[str, Any]] | None = None) -> Path:
    """`audit` as a folder; `history.json` only where `records` are given."""
    folder.mkdir(parents=True)
    (folder / "report.json").write_text(audit.model_dump_json(by_alias=True))
    if records is not None:
        (folder / "history.json").write_text(json.dumps(records))
    return folder
