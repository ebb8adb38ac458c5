"""An audit whose thieves train by several recipes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.audit.small import Watched, run
from tests.release.toys import PROTOCOL


def test_attacks_by_other_recipes(folder: Path, tmp_path: Path) -> None:
    """Variants, an attack that needs source images, and the authors' schedule, in one audit."""
    sgd = PROTOCOL.recipe.model_copy(update={"optimiser": "sgd", "lrs": (3e-2,)})
    slow = PROTOCOL.recipe.model_copy(
        update={"optimiser": "adam", "schedule": "constant", "lrs": (1e-4,)}
    )
    rules = PROTOCOL.model_copy(
        update={
            "name": "mixed/1",
            "variants": {"sgd": sgd, "slow": slow},
            "attacks": ("finetune", "finetune@sgd", "finetune-new-head@slow", "mix"),
            "controls": {"unprotected": ("finetune",), "null": ("null",)},
        }
    )
    engine = Watched()
    found = run(folder, tmp_path / "audit", protocol=rules, engine=engine)
    assert list(found.report.attacks) == list(rules.attacks)
    jobs = [job.spec for job in engine.ran if "attack" in job.spec]
    assert {spec["attack"] for spec in jobs} == {"finetune", "finetune-new-head", "mix", "scratch"}
    assert {spec["attack"] for spec in jobs if "source" in spec} == {"mix"}
    by = Counter((spec["attack"], spec["recipe"]["optimiser"]) for spec in jobs)
    assert {by["scratch", name] for name in ("adamw", "sgd", "adam")} == {4}, (
        "every recipe's search"
    )
    assert {p.attack for p in found.points if p.subject == "scratch"} == {
        "scratch",
        "scratch@sgd",
        "scratch@slow",
    }
    assert {p.lr for p in found.points if p.attack == "finetune@sgd"} == {3e-2}
    assert found.report.envelope.or_scratch is not None
