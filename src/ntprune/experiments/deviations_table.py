"""The record of `ntprune.experiments.deviations` as a table."""

from __future__ import annotations

from typing import Any

_ATTACKS = {
    "finetune": "mask-free, head kept",
    "finetune-new-head": "mask-free, new head",
    "masked": "mask-kept, head kept",
    "masked-new-head": "mask-kept, new head",
}


def table(document: dict[str, Any]) -> str:
    """Markdown of `deviations.json`: one row a variant, then what was measured and how."""
    rows, attacks = document["variants"], document["attacks"]
    columns = [
        "variant",
        "settings",
        "iterations",
        "sparsity, %",
        "source test, % (drop, pp)",
        *(_ATTACKS.get(attack, attack) for attack in attacks),
        "envelope (mean gap, 95 %)",
    ]
    lines = [columns, ["---"] * len(columns)]
    lines += [_cells(name, row, attacks) for name, row in rows.items()]
    audited = (row for row in rows.values() if "failed" not in row)
    return "\n".join(
        [
            *("| " + " | ".join(cells) + " |" for cells in lines),
            "",
            f"{document['source']} → {document['target']}. {_figures(next(audited, None))}"
            f"{_seeds(document['seeds'])}",
            "",
            _made_by(document["command"], document["machine"]),
            "",
        ]
    )


def _figures(row: dict[str, Any] | None) -> str:
    if row is None:
        return "No variant could be audited. "
    return (
        f"Protocol {row['protocol']}; figures are SLC-AUC against scratch, unprotected "
        f"{row['unprotected']:+.3f}. Sparsity is that of the released prunable weights. "
    )


def _seeds(seeds: dict[str, Any]) -> str:
    thieves = seeds["thieves"]
    return (
        f"One protection a variant (seed {seeds['protection']}), so small differences may be "
        f"chance; thieves with seeds {thieves[0]} to {thieves[-1]}."
    )


def _made_by(command: str, machine: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return f"`{command}`, {machine['cores']} cores, {machine['processor']}; {versions}."


def _cells(name: str, row: dict[str, Any], attacks: list[str]) -> list[str]:
    changed = ", ".join(f"`{key}={value}`" for key, value in row["settings"].items())
    label = [name, changed or "the authors'"]
    if "failed" in row:
        return [*label, *["–"] * (3 + len(attacks)), row["failed"].replace("|", "/")]
    drop = 100 * (row["source_before"] - row["source_after"])
    areas, envelope = row["slc_auc"], row["envelope"]
    low, high = envelope["ci95"]
    return [
        *label,
        str(row["iterations"]),
        f"{100 * row['sparsity']:.1f}",
        f"{100 * row['source_after']:.2f} ({drop:+.2f})",
        *(f"{areas[attack]:+.3f}" if attack in areas else "–" for attack in attacks),
        f"{envelope['slc_auc']:+.3f} ({envelope['mean_gap']:+.3f}, {low:+.3f} to {high:+.3f})",
    ]
