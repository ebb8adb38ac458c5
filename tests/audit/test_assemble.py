"""From results of jobs, made by hand, to the report."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import torch
from tests.audit.evidence import QUIET
from tests.release.toys import CLASSES, PROTOCOL, protected, toy

from ntprune.audit.assemble import Findings, assemble
from ntprune.audit.plan import Plan
from ntprune.audit.points import Point
from ntprune.audit.right import drop_interval, packed
from ntprune.audit.schema import Missing, Report
from ntprune.errors import AuditError

BUDGETS = (8, 32)
SUBJECTS = {
    "scratch": ("scratch",),
    "release": ("finetune", "masked"),
    "unprotected": ("finetune",),
    "magnitude": ("masked-new-head",),
    "random": ("finetune-new-head",),
}
HEIGHT = {"scratch": 0.4, "release": 0.3, "unprotected": 0.7, "magnitude": 0.5, "random": 0.45}


def plan() -> Plan:
    return Plan(PROTOCOL, BUDGETS, "t", "s", CLASSES, protected(toy(0), toy(1)), "b")


# Of the source's test images each subject has the first ones right.
SEEN = {
    name: packed(torch.arange(200) < count)
    for name, count in (
        ("release", 180), ("unprotected", 190), ("magnitude", 184), ("random", 182), ("null", 50)
    )
}  # fmt: skip


def findings() -> Findings:
    points = [
        Point(
            subject=subject,
            attack=attack,
            n=n,
            seed=seed,
            accuracy=HEIGHT[subject] + n / 400 + seed / 50 + 0.1 * (attack == "finetune"),
            validation=0.5 + 0.1 * (attack == "finetune"),
            loss=1.0,
            lr=1e-2,
            first_loss=2.0,
            last_loss=0.5,
        )
        for subject, attacks in SUBJECTS.items()
        for attack in attacks
        for n in BUDGETS
        for seed in (0, 1)
    ]
    singles = {
        name: {"accuracy": accuracy, "sparsity": sparsity, **QUIET, "right": SEEN[name]}
        for name, accuracy, sparsity in (
            ("release", 0.9, 0.8),
            ("unprotected", 0.95, 0.0),
            ("magnitude", 0.92, 0.8),
            ("random", 0.91, 0.8),
            ("null", 0.25, 0.0),
        )
    }
    costs = [
        {"steps": 10, "seconds": 0.26},
        {"steps": 5, "seconds": 0.1},
        {"steps": 0, "seconds": 1},
    ]
    return Findings(points, singles, costs)


def report(given: Findings) -> Report:
    return assemble(plan(), given, "toy0", "toy1")


def test_numbers() -> None:
    found = report(findings())
    assert found.budgets == [8, 32]
    assert found.scratch.curve == pytest.approx([0.43, 0.49])
    assert set(found.attacks) == {"finetune", "masked"}
    assert found.attacks["masked"].mean_gap == pytest.approx(-0.1)
    assert found.attacks["finetune"].mean_gap == pytest.approx(0.0)
    assert found.envelope.chosen == [{"finetune": 2}, {"finetune": 2}]
    assert found.envelope.mean_gap == pytest.approx(0.0)
    source = found.source.model_dump()
    assert source.pop("ci95_pp") == drop_interval(SEEN["unprotected"], SEEN["release"])
    assert source == {"name": "toy0", "before": 0.95, "after": 0.9, "drop_pp": 5.0}
    assert found.cost.model_dump() == {"jobs": 3, "reused": 0, "steps": 15, "seconds": 1.4}
    assert found.protocol == "tiny/1"
    assert found.release["weights_sha256"] == plan().weights
    assert found.release["schema"] == 1


def test_controls() -> None:
    found = report(findings()).controls
    assert set(found) == {"unprotected", "magnitude", "random", "null"}
    assert found["unprotected"].envelope.mean_gap == pytest.approx(0.4)
    assert found["magnitude"].attacks.keys() == {"masked-new-head"}
    assert (found["random"].source, found["random"].sparsity) == (0.91, 0.8)
    assert found["null"].envelope.curve == [0.25, 0.25]
    assert found["null"].source == 0.9, "the null attack is made on the release"
    assert found["null"].drop_ci95_pp == drop_interval(SEEN["unprotected"], SEEN["release"])
    assert found["magnitude"].drop_ci95_pp == drop_interval(SEEN["unprotected"], SEEN["magnitude"])
    assert found["unprotected"].drop_ci95_pp is None, "it is the same file on the same images"
    assert found["null"].attacks["null"].spread == [0, 0]


def test_without_the_null_attack() -> None:
    given = findings()
    del given.singles["null"]
    assert "null" not in report(given).controls


def test_void() -> None:
    assert not report(findings()).void
    given = findings()
    lower = [
        replace(p, accuracy=p.accuracy - 0.5) if p.subject == "unprotected" else p
        for p in given.points
    ]
    assert report(replace(given, points=lower)).void


def test_scales_reach_the_flags() -> None:
    def raised(given: Findings) -> set[str]:
        return {flag.name for flag in report(given).flags}

    given = findings()
    assert "unusual-scale" not in raised(given)
    given.singles["release"] |= {"whole_scales": {"a": 9.0, "b": 1.0}, "strays": {"n": 0.0}}
    given.singles["unprotected"] |= {"whole_scales": {"a": 8.0}, "strays": {"n": 0.0}}
    assert "unusual-scale" not in raised(given)
    given.singles["unprotected"]["whole_scales"]["a"] = 0.1
    assert "unusual-scale" in raised(given)


def test_a_single_channel_reaches_the_flags() -> None:
    given = findings()
    given.singles["release"] |= {"lone": {"n.bias": 31.0}}
    given.singles["unprotected"] |= {"lone": {"n.bias": 3.0}}
    (flag,) = (flag for flag in report(given).flags if flag.name == "unusual-scale")
    assert "single channels far outside" in flag.message
    assert "n.bias" in flag.message
    given.singles["unprotected"] |= {"lone": {"n.bias": 4.0}}
    assert "unusual-scale" not in {flag.name for flag in report(given).flags}, "it was so before"


def test_the_order_of_results_does_not_matter() -> None:
    given = findings()
    expected = report(given)
    draw = random.Random(0)
    for _ in range(5):
        shuffled = sorted(given.points, key=lambda _: draw.random())
        again = report(replace(given, points=shuffled))
        assert again.model_dump() == expected.model_dump()


def without(given: Findings, *lost: tuple[str, str, int, int]) -> Findings:
    """`given` as if the jobs of those points had failed."""

    def key(point: Point | Missing) -> tuple[str, str | None, int | None, int | None]:
        return point.subject, point.attack, point.n, point.seed

    return replace(
        given,
        points=[p for p in given.points if key(p) not in lost],
        missing=[
            Missing(subject=s, attack=a, n=n, seed=i, reason="it broke") for s, a, n, i in lost
        ],
    )


def test_the_thief_chooses_among_the_attacks_that_are_there() -> None:
    found = report(without(findings(), ("release", "finetune", 8, 1)))
    assert found.envelope.chosen == [{"finetune": 1, "masked": 1}, {"finetune": 2}]
    # Seed 1 is missing at 8 samples, on either side of the comparison.
    assert found.attacks["finetune"].curve == pytest.approx([0.42, 0.49])
    assert found.attacks["finetune"].mean_gap == pytest.approx(0.0)
    assert found.attacks["finetune"].spread[0] == 0
    assert [m.model_dump() for m in found.missing] == [
        {"subject": "release", "attack": "finetune", "n": 8, "seed": 1, "reason": "it broke"}
    ]
    (flag,) = (flag for flag in found.flags if flag.name == "points-missing")
    assert "1 part of the audit could not be measured (release/finetune)" in flag.message


def test_a_curve_without_any_seed_is_left_out() -> None:
    found = report(without(findings(), *(("release", "finetune", 8, seed) for seed in (0, 1))))
    assert set(found.attacks) == {"masked"}
    assert found.envelope.chosen == [{"masked": 2}, {"finetune": 2}]


def test_a_control_that_is_not_whole_is_left_out() -> None:
    assert (
        "random" not in report(without(findings(), ("random", "finetune-new-head", 8, 0))).controls
    )
    given = findings()
    del given.singles["magnitude"]
    assert "magnitude" not in report(given).controls


@pytest.mark.parametrize(
    "lost",
    [
        [("scratch", "scratch", 8, 0)],
        [("release", attack, 32, 1) for attack in ("finetune", "masked")],
        [("unprotected", "finetune", 8, 0)],
    ],
)
def test_what_an_audit_cannot_do_without(lost: list[tuple[str, str, int, int]]) -> None:
    where = f"{lost[0][0]}/{lost[0][1]} at {lost[0][2]} samples, seed {lost[0][3]} .it broke."
    with pytest.raises(AuditError, match=rf"cannot be finished without {where}.*command again"):
        report(without(findings(), *lost))


def test_without_the_source_accuracy_there_is_no_report() -> None:
    given = findings()
    del given.singles["release"]
    lost = [Missing(subject="release", reason="it broke")]
    with pytest.raises(AuditError, match=r"without release/source \(it broke\)"):
        report(replace(given, missing=lost))
