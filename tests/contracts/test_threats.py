"""Every attack of every protocol says in the report what a thief needs for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.audit.evidence import QUIET
from tests.release.toys import CLASSES, protected, toy
from tests.report.factory import write

from ntprune.attacks import attack_class
from ntprune.audit.assemble import Findings, assemble
from ntprune.audit.plan import Plan
from ntprune.audit.points import Point
from ntprune.audit.protocol import PROTOCOLS, Protocol, procedure
from ntprune.audit.schema import Report
from ntprune.report.load import load
from ntprune.report.tables import needs

BUDGETS = (8, 32)


def attacks(rules: Protocol) -> dict[str, tuple[str, ...]]:
    """Every attack of the protocol by what is attacked."""
    scratch = ("scratch", *(f"scratch@{name}" for name in rules.variants))
    return {"scratch": scratch, "release": rules.attacks, **rules.controls}


def report(rules: Protocol) -> Report:
    """An audit by the protocol in which every attack reaches the same."""
    points = [
        Point(subject, name, n, seed, 0.5, 0.5, 1.0, 1e-2, 2.0, 0.5)
        for subject, names in attacks(rules).items()
        for name in names
        for n in BUDGETS
        for seed in rules.thieves
    ]
    single = {"accuracy": 0.9, "sparsity": 0.5, **QUIET}
    singles = dict.fromkeys(("release", *rules.controls), single)
    plan = Plan(rules, BUDGETS, "t", "s", CLASSES, protected(toy(0), toy(1)), "b")
    return assemble(plan, Findings(points, singles, []), "toy0", "toy1")


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_attack_has_a_row(name: str, tmp_path: Path) -> None:
    rules = PROTOCOLS[name]
    found = report(rules)
    names = {attack for several in attacks(rules).values() for attack in several}
    assert set(found.threats) == names
    audit = load(write(tmp_path / "audit", found))
    assert audit.report.threats == {a: attack_class(procedure(a)).threat for a in names}
    table = needs(audit, f"protocol {name}")
    assert table is not None
    assert [row[0] for row in table.rows] == list(
        dict.fromkeys(procedure(attack) for attack in found.threats)
    )
    assert {row[0] for row in table.rows} == {procedure(attack) for attack in names}
