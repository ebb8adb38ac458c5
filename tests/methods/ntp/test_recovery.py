"""What pruning cost the source is won back before the finish, and only then."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from tests.release.toys import TINY

from ntprune.domains import Domain
from ntprune.methods import measure, protect
from ntprune.methods.ntp import finish
from ntprune.methods.ntp.objective import Objective
from ntprune.methods.ntp.recovery import Recovery
from ntprune.methods.ntp.run import Run
from ntprune.release import Release

ALLOWED = 10.0  # percentage points, of which 8.5 are aimed at


@pytest.mark.parametrize(
    ("drops", "checks"),
    [
        ((8.4,), 0),
        ((8.6, 8.4), 1),
        ((20.0, 12.0, 9.0, 8.5), 3),
        ((20.0, *[9.0] * Recovery.MOST), Recovery.MOST),
    ],
    ids=["inside already", "inside at once", "inside later", "never inside"],
)
def test_it_lasts_until_the_drop_is_inside_the_aim(
    drops: Sequence[float],
    checks: int,
    tiny_base: Release,
    tiny_source: Domain,
    tiny_target: Domain,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`drops`: with the mask on, and at each check of the recovery; none in rounds and finish."""
    before = tiny_base.card.source.validation
    # The glance of the rounds is asked for its accuracy before the first of them and after it.
    accuracies = iter([before, before, *[before - drop / 100 for drop in drops]])
    monkeypatch.setattr(Run, "accuracy", lambda *_: next(accuracies, before))
    for place in (finish, measure):
        monkeypatch.setattr(place, "accuracy", lambda *_: before)
    settings = TINY | {"rounds": 1, "max_source_drop": ALLOWED, "device": "cpu"}
    made = protect(tiny_base, tiny_source, tiny_target, **settings)
    phases = [record["phase"] for record in made.history]
    assert phases == ["admm"] + ["recovery"] * checks + ["finish"] * TINY["finish"]
    steps = TINY["inner"] + checks * TINY["recover"] + TINY["finish"] * (1 + TINY["recover"])
    assert made.card.steps == steps
    assert made.card.sparsity == pytest.approx(TINY["sparsity"], abs=1e-3)


def test_it_never_sees_the_target(
    tiny_base: Release,
    tiny_source: Domain,
    tiny_target: Domain,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[str] = []
    away, advance = Objective.away, Recovery.advance

    def telling(self: Objective) -> object:
        seen.append("target")
        return away(self)

    def quiet(self: Recovery) -> float:
        before = len(seen)
        drop = advance(self)
        assert len(seen) == before
        seen.append("recovery")
        return drop

    monkeypatch.setattr(Objective, "away", telling)
    monkeypatch.setattr(Recovery, "advance", quiet)
    # In earnest the tiny source loses less by pruning than TINY allows.
    monkeypatch.setattr(Recovery, "look", lambda _: None)
    settings = TINY | {"support": "magnitude", "device": "cpu"}
    protect(tiny_base, tiny_source, tiny_target, **settings)
    assert seen[0] == "recovery"
    assert "target" in seen


def test_it_is_the_masked_network_that_is_asked(
    tiny_base: Release, tiny_source: Domain, tiny_target: Domain
) -> None:
    """One step of a round leaves the weights where they were, and far from what is kept of them."""
    settings = TINY | {"sparsity": 0.9, "rounds": 1, "inner": 1, "device": "cpu"}
    more = {"finish": 40, "recover": 4, "checks": 4, "max_source_drop": 20.0}
    made = protect(tiny_base, tiny_source, tiny_target, **settings | more)
    first, second = made.history[:2]
    assert first["phase"] == "admm"
    assert first["drop_pp"] < 5
    assert second["phase"] == "recovery"
