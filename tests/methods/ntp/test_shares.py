"""How several targets are mixed."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from ntprune.domains import Domain
from ntprune.engine import Resident
from ntprune.errors import SettingsError
from ntprune.methods import make_method
from ntprune.methods.checkpoint import Checkpoint
from ntprune.methods.defence import TargetData
from ntprune.methods.ntp import NTPSettings, finish
from ntprune.methods.ntp.lookahead import Lookahead
from ntprune.methods.ntp.shares import Shares
from ntprune.release import Release

SMALL = {"batch": 32, "max_source_drop": 100.0, "sparsity": 0.8, "rounds": 2, "inner": 2}


def shares(*classes: int, **settings: Any) -> Shares:
    nothing = Resident(torch.zeros(0, 1, 8, 8), torch.zeros(0))
    targets = [
        TargetData(f"t{i}", nothing, nothing, tuple(map(str, range(count))))
        for i, count in enumerate(classes)
    ]
    return Shares(NTPSettings(**settings), targets)


def guesses(*classes: int) -> list[float]:
    return [-math.log(count) for count in classes]


def test_equal_unless_weighted() -> None:
    assert shares(4, 9).now == (0.5, 0.5)
    assert shares(4, 9, weights=(3, 1)).now == (0.75, 0.25)
    mixed = shares(4, 9, weights=(3, 1)).mix([torch.tensor([4.0, 0.0]), torch.tensor([0.0, 8.0])])
    assert mixed.tolist() == [3.0, 2.0]


def test_one_target_is_all_there_is_to_the_bit() -> None:
    term = torch.tensor(0.1234567)
    for combine in ("mean", "worst"):
        alone = shares(10, combine=combine)
        alone.hear([-1.7])
        assert alone.now == (1.0,)
        assert torch.equal(alone.mix([term]), term)
        assert [alone.turn() for _ in range(5)] == [0] * 5


def test_turns_follow_the_shares_and_are_spread() -> None:
    fixed = shares(4, 4, 4, weights=(5, 2, 1))
    turns = [fixed.turn() for _ in range(80)]
    assert Counter(turns) == {0: 50, 1: 20, 2: 10}
    assert all(set(turns[i : i + 8]) == {0, 1, 2} for i in range(0, 80, 8))


def test_in_the_mean_nobody_listens_to_thieves() -> None:
    fixed = shares(4, 4, weights=(1, 3))
    fixed.hear([-0.1, -1.0])
    assert fixed.now == (0.25, 0.75)
    assert fixed.standing([-0.5 * math.log(4), -math.log(4)]) == pytest.approx(-0.875)


def test_the_worst_target_leads() -> None:
    worst = shares(4, 4, combine="worst")
    assert worst.now == (0.5, 0.5)
    worst.hear([-math.log(4), (Shares.TEMPERATURE - 1) * math.log(4)])
    assert worst.now[1] == pytest.approx(math.e / (1 + math.e))
    worst.hear([-0.1, -1.3])
    assert worst.now[0] > 0.99
    assert worst.standing([-0.1, -1.3]) == pytest.approx(-0.1 / math.log(4))


def test_targets_of_different_class_counts_are_compared_by_what_guessing_costs() -> None:
    worst = shares(3, 10, combine="worst")
    worst.hear(guesses(3, 10))
    assert worst.now == pytest.approx((0.5, 0.5))
    worst.hear([-4.0, -4.0])
    assert worst.now == pytest.approx((0.5, 0.5)), "worse than guessing is guessing"
    worst.hear([-0.5 * math.log(3), -0.5 * math.log(10)])
    assert worst.now == pytest.approx((0.5, 0.5))


def test_a_state_is_taken_up_again() -> None:
    one = shares(4, 4, combine="worst")
    one.hear([-0.9, -1.0])
    [one.turn() for _ in range(3)]
    other = shares(4, 4, combine="worst")
    other.load_state_dict(one.state_dict())
    assert other.now == one.now
    assert [other.turn() for _ in range(9)] == [one.turn() for _ in range(9)]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"weights": (1, 0)}, "'weights.1' = 0: expected greater than 0"),
        ({"weights": (1, math.inf)}, "'weights.1' = inf"),
        ({"weights": (1, 2), "combine": "worst"}, "'weights'.*leave the weights out"),
        ({"combine": "best"}, "'combine' = 'best'"),
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        make_method("ntp", **settings)


def test_one_weight_for_each_target(
    tiny_base: Release, tiny_source: Domain, tiny_target: Domain
) -> None:
    run = make_method("ntp", **SMALL, weights=(1, 2))
    with pytest.raises(SettingsError, match=r"found 2 for 1 target\(s\) \(tiny-dark\)"):
        run(tiny_base, tiny_source, [tiny_target])


@pytest.mark.parametrize("combine", ["mean", "worst"])
def test_only_one_theft_an_outer_step(
    combine: str,
    tiny_base: Release,
    tiny_source: Domain,
    tiny_target: Domain,
    tiny_other: Domain,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two of the same classes and one of others; the thief of the last is far ahead."""
    robbed = []
    gradient = Lookahead.gradient

    def watch(self: Lookahead, *arguments: Any) -> Any:
        robbed.append(self.target.name)
        return gradient(self, *arguments)

    def thief(model: Any, target: TargetData, seed: int, **_: Any) -> float:
        return -0.1 if target.name == tiny_other.name else -math.log(len(target.classes))

    monkeypatch.setattr(Lookahead, "gradient", watch)
    monkeypatch.setattr(finish, "quick_thief", thief)
    run = make_method("ntp", **SMALL, finish=12, combine=combine)
    release = run(tiny_base, tiny_source, [tiny_target, tiny_other])
    assert len(robbed) == 12
    others = robbed.count(tiny_other.name)
    assert others == 6 if combine == "mean" else others >= 10
    found = release.history[-1]
    assert found["thief: tiny-other"] == -0.1
    assert found["thief: tiny-dark"] == -math.log(4)
    assert found["thief"] == pytest.approx((-0.1 - math.log(4)) / 2)


def test_a_stopped_run_keeps_its_shares(
    tiny_base: Release,
    tiny_source: Domain,
    tiny_target: Domain,
    tiny_many: Domain,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Checkpoint, "SHARE", math.inf)
    run = make_method("ntp", **SMALL, finish=4, combine="worst")
    reports: list[str] = []

    def stop(stage: str, done: int, *_: Any) -> None:
        reports.append(f"{stage} {done}")
        if reports[-1] == "finish 2":
            raise KeyboardInterrupt

    def protect(**how: Any) -> Release:
        return run(tiny_base, tiny_source, [tiny_target, tiny_many], **how)

    whole = protect()
    with pytest.raises(KeyboardInterrupt):
        protect(progress=stop, checkpoint=tmp_path / "partial")
    resumed = protect(checkpoint=tmp_path / "partial")
    assert resumed.history == whole.history
    released = resumed.model.module.state_dict()
    assert all(torch.equal(released[k], v) for k, v in whole.model.module.state_dict().items())


def test_one_target_has_no_parts_in_the_history(
    tiny_base: Release, tiny_source: Domain, tiny_other: Domain
) -> None:
    release = make_method("ntp", **SMALL, finish=1)(tiny_base, tiny_source, [tiny_other])
    assert not any(":" in key for record in release.history for key in record)
