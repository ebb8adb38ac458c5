"""What flags are raised from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from ntprune.audit.points import Point
from ntprune.audit.protocol import Protocol
from ntprune.audit.schema import Control, Curve, Envelope, Flag, Missing, ScratchCurve


@dataclass(frozen=True)
class Evidence:
    """An audit's findings before they are believed.

    Attributes:
        protocol: the rules.
        budgets: the grid.
        classes: how many the target has.
        guess: accuracy of naming the most common of them every time.
        points: every attacked point.
        scratch, attacks, envelope, controls: as in the report.
        scales: of each weight, root mean square of its non-zero entries in the release and in the
            unprotected model.
        whole_scales: the same with its zeros.
        directions, head_directions: of each weight of the encoder and of the head, where its
            filters point in the release and in the unprotected model, as `filter_directions` has
            it.
        strays: of each BatchNorm of the release, the share of channels whose running statistics
            are not those of source images.
        lone: of each weight, bias and BatchNorm's statistics (`.running`), how far one channel
            stands out, in the release and in the unprotected model.
        missing: what could not be measured.
    """

    protocol: Protocol
    budgets: list[int]
    classes: int
    guess: float
    points: list[Point]
    scratch: ScratchCurve
    attacks: dict[str, Curve]
    envelope: Envelope
    controls: dict[str, Control]
    scales: dict[str, tuple[float, float]] = field(default_factory=dict)
    whole_scales: dict[str, tuple[float, float]] = field(default_factory=dict)
    directions: dict[str, tuple[str, str]] = field(default_factory=dict)
    head_directions: dict[str, tuple[str, str]] = field(default_factory=dict)
    strays: dict[str, float] = field(default_factory=dict)
    lone: dict[str, tuple[float, float]] = field(default_factory=dict)
    missing: list[Missing] = field(default_factory=list)


Check = Callable[[Evidence], Iterator[Flag]]
