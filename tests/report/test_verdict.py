"""The verdict in every variant, and how numbers are written."""

from __future__ import annotations

import pytest
from tests.report.factory import (
    MASKED,
    SCRATCH,
    UNPROTECTED,
    control,
    curve,
    envelope,
    flag,
    report,
    shifted,
)

from ntprune.audit.schema import Envelope, Flag, Missing, Report, SourceChange
from ntprune.report.text import NBSP, clean, duration, percent, points, setting, signed
from ntprune.report.verdict import judge

LOST = [Missing(subject="release", attack="masked", n=8, seed=0, reason="it broke")]
ALL_OF_IT = {"lora": curve(UNPROTECTED), "masked": curve(MASKED)}
LEAD = Flag(
    name="head-start-at-some-budget", message="a thief is ahead with lora, whatever the mean says"
)
# What the unprotected model gives is more by the estimate, and by chance as likely as not.
UNSURE = {"envelope": envelope(UNPROTECTED, half=0.05)}
WIDE = {"unprotected": control(UNPROTECTED, 0.99, 0.0).model_copy(update=UNSURE)}
WORSE = {"unprotected": control(MASKED, 0.99, 0.0)}


def single_run(audit: Report) -> Report:
    """The same with one seed and a degenerate interval."""
    gap = audit.envelope.mean_gap
    values = {"ci95": (gap, gap), "chosen": [{"finetune": 1}] * 5}
    return audit.model_copy(update={"envelope": audit.envelope.model_copy(update=values)})


def test_protected() -> None:
    verdict = judge(report())
    assert verdict.level == "protected"
    assert verdict.sentence.replace(NBSP, " ") == (
        "Protected: a thief with up to 6,291 labelled usps images gains nothing from this file "
        "over starting from scratch (average accuracy difference −1.2 points, 95 % interval −1.9 "
        "to −0.5), and the model lost 0.8 points on mnist."
    )


@pytest.mark.parametrize(
    ("audit", "level", "says"),
    [
        (report(-0.007, half=0.007), "protected", "interval −1.4 to 0.0"),
        (report(-0.002), "open", "cannot be ruled out"),
        (report(flags=[flag("polite-protocol")]), "open", "and nothing follows for a thief who"),
        (report(flags=[flag("unusual-scale")]), "open", "yet its weights or statistics"),
        (report(0.2, flags=[flag("polite-protocol")]), "unprotected", "no more"),
        (single_run(report(-0.05)), "open", "no interval from these runs"),
        (report(0.03, flags=[flag("unusual-scale")]), "open", "is removed, but a thief"),
        (report(0.03, flags=[flag("polite-protocol")]), "open", "yet the rules of standard/1"),
        (report(0.03, missing=LOST), "open", "yet 1 of the runs on it could not be"),
        (report(0.03, attacks=ALL_OF_IT), "unprotected", "with lora alone a thief"),
        (report(-0.05, attacks=ALL_OF_IT), "unprotected", "it is only by his choice among attacks"),
        (report(-0.002, flags=[LEAD]), "open", "but a thief is ahead with lora, and a small head"),
        (report(0.1, half=0.02, controls=WIDE), "unprotected", "within the uncertainty"),
        (report(0.03), "partly", "images still does better with this file"),
        (report(0.03, half=0.04), "partly", "images may still do better with this file"),
        (report(0.09, half=0.1), "unprotected", "images may do better with this file"),
        (report(0.09, half=0.05), "unprotected", "within the uncertainty"),
        (report(0.2), "unprotected", "no more"),
        (report(0.03, controls={}), "unprotected", "does better"),
        (report(missing=LOST), "open", "yet 1 of the runs on it could not be"),
        (report(missing=[Missing(subject="random", reason="it broke")]), "protected", "gains"),
        (report(missing=LOST, attacks={"lora": curve(shifted(SCRATCH, 0.01))}), "open", "lora"),
        (report(attacks={"lora": curve(shifted(SCRATCH, 0.01))}), "partly", "but the attack lora"),
        (report(flags=[flag("void")]), "void", "model is not shown to give a thief"),
        (report(flags=[flag("void")], controls=WORSE), "void", "gives a thief with up to 6,291"),
        (report(flags=[flag("void")], controls={}), "void", "no unprotected model to compare"),
    ],
)
def test_variants(audit: Report, level: str, says: str) -> None:
    verdict = judge(audit)
    assert verdict.level == level
    assert says in verdict.sentence.replace(NBSP, " ")
    assert verdict.sentence.startswith(f"{verdict.label}: ")
    assert verdict.sentence.count(". ") == 0


def test_share_of_the_head_start_that_was_removed() -> None:
    bare = control(shifted(SCRATCH, 0.02), 0.99, 0.0)
    audit = report(0.005, half=0.001, controls={"unprotected": bare})
    assert f"75{NBSP}% of the head start" in judge(audit).sentence
    # What is left of it is never rounded away.
    audit = report(0.00001, half=0.00001, controls={"unprotected": bare})
    assert f"99{NBSP}% of the head start" in judge(audit).sentence


@pytest.mark.parametrize(
    ("drop", "says"),
    [(0.04, "did not change"), (-0.3, "gained 0.3 points"), (2.0, "lost 2.0 points")],
)
def test_price(drop: float, says: str) -> None:
    change = SourceChange(name="mnist", before=0.99, after=0.99 - drop / 100, drop_pp=drop)
    assert says in judge(report(source=change)).sentence


def test_an_interval_that_is_not_finite_settles_nothing() -> None:
    audit = report(-0.05)
    endless = Envelope(**audit.envelope.model_dump() | {"ci95": (float("-inf"), float("inf"))})
    assert judge(audit.model_copy(update={"envelope": endless})).level == "open"


def test_numbers() -> None:
    assert points(-0.0123) == "−1.2"
    assert points(0.0) == points(-0.0001) == points(0.0001) == "0.0"
    assert signed(1234.5, 1) == "+1,234.5"
    assert signed(float("nan"), 1) == "–"
    assert percent(0.98) == f"98.0{NBSP}%"
    assert [duration(s).replace(NBSP, " ") for s in (5, 5230, 9000)] == ["5 s", "87 min", "2.5 h"]
    assert setting([1, True, None, {}]) == "1, yes, none, –"
    assert clean("a\nb\u202e") == "a b"
    assert clean("abcdefghij", 5) == "ab…ij"
