"""What a study compares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ntprune.experiments.common.named_pairs import Pair
from ntprune.methods.ntp import NTPSettings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ntprune.experiments.study.record import Record


@dataclass(frozen=True)
class Variant:
    """One way to protect.

    Attributes:
        label: what tables and figures call it; unique in a study.
        method: name in the method registry.
        settings: of the method, where they are not its defaults.
        series: the line of the figure that it is a point of.
        at: the value of what that series varies.
    """

    label: str
    method: str
    settings: dict[str, Any]
    series: str = ""
    at: float | None = None


@dataclass(frozen=True)
class Study:
    """A question, and the variants that answer it.

    Attributes:
        name: of the study and of its folder of results.
        question: what it answers, in one sentence.
        variants: on a pair of domains, in the order of the table.
        draw: the figure, on an empty one.
        height: of the figure in pixels.
        seeds: protections of each variant unless told otherwise.
    """

    name: str
    question: str
    variants: Callable[[Pair], list[Variant]]
    draw: Callable[[Record, Figure], None]
    height: int
    seeds: int


def source_only(pair: Pair, method: str, sparsity: float) -> dict[str, Any]:
    """Settings of the control `magnitude` or `admm`: as many steps as `ntp` without recovery."""
    ntp = NTPSettings(**pair.settings)
    rounds, finish = ntp.rounds * ntp.inner, ntp.finish * (ntp.recover + 1)
    shared = {"sparsity": sparsity, "batch": ntp.batch}
    if method == "admm":
        return shared | {"rounds": ntp.rounds, "inner": ntp.inner, "steps": finish}
    return shared | {"steps": rounds + finish}
