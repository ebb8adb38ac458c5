"""The thief's search: by its own held-out slice, within a standard error the usual rate."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.release.toys import base, toy

from ntprune.audit import Recipe
from ntprune.audit.search import Thief, Trial, choose, search
from ntprune.engine import Resident
from ntprune.errors import TrainingDivergedError

RECIPE = Recipe(lrs=(1e-3, 1e-2, 1e-1), min_steps=40, epochs=1)
SAMPLES = Resident(torch.arange(10).view(10, 1, 1, 1), torch.arange(10))


class Recorder:
    """An attack that only remembers how it was called; its model is its learning rate."""

    name = "recorder"

    def __init__(
        self, diverging: tuple[float, ...] = (), at_length: int = 0, on: int | None = None
    ) -> None:
        self.diverging = diverging
        self.at_length = at_length
        self.on = on
        self.calls: list[dict[str, Any]] = []

    def __call__(self, release: Any, samples: Resident, classes: Any, **options: Any) -> Any:
        self.calls.append({"release": release, "samples": samples.labels.tolist(), **options})
        there = self.on in (None, len(samples)) and options["steps"] >= self.at_length
        if options["lr"] in self.diverging and there:
            raise TrainingDivergedError("inf")
        return type("Stolen", (), {"model": options["lr"], "log": None})()


def run(
    monkeypatch: pytest.MonkeyPatch,
    scores: dict[float, tuple[float, float]],
    attack: Recorder,
) -> tuple[Any, list[list[int]]]:
    seen: list[list[int]] = []

    def evaluate(model: float, data: Resident) -> tuple[float, float]:
        seen.append(data.labels.tolist())
        return scores[model]

    monkeypatch.setattr("ntprune.audit.search.evaluate", evaluate)
    return search(Thief(attack, "R", ("a",), RECIPE, 5), SAMPLES), seen  # type: ignore[arg-type]


def test_accuracy_on_the_slice_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    attack = Recorder()
    scores = {1e-3: (1.0, 9.0), 1e-2: (0.0, 0.1), 1e-1: (0.5, 0.2)}
    found, seen = run(monkeypatch, scores, attack)
    assert found.best == Trial(1e-3, 1.0, 9.0)
    assert found.stolen.model == 1e-3
    assert [trial.lr for trial in found.trials] == [1e-3, 1e-2, 1e-1]
    assert seen == [[0, 1]] * 3, "judged by a fifth of its own samples, the last run not at all"
    assert [call["samples"] for call in attack.calls] == [list(range(2, 10))] * 3 + [
        list(range(10))
    ]


def test_the_usual_rate_is_taken_where_nothing_tells_rates_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Cross-entropy does not: it favours rates too low to learn from what is surely wrong."""
    scores = {1e-3: (0.5, 0.3), 1e-2: (0.5, 70.0), 1e-1: (0.5, 0.2)}
    assert run(monkeypatch, scores, Recorder())[0].best.lr == 1e-2


def test_one_standard_error_by_hand() -> None:
    """Of 98 images, half right and a success and a failure added: .05 to each side."""
    low, usual = Trial(1e-3, 0.5, 1.0), Trial(1e-2, 0.4496, 1.0)
    assert choose([low, usual], 98, 1e-2) == usual
    assert choose([low, Trial(1e-2, 0.4489, 1.0)], 98, 1e-2) == low
    assert choose([Trial(1e-1, 0.0, 1.0), low], 98, 1e-2) == low


def test_at_equal_distance_accuracy_and_then_cross_entropy_decide() -> None:
    below, above = Trial(1e-3, 0.5, 1.0), Trial(1e-1, 0.49, 0.1)
    assert choose([above, below], 98, 1e-2) == below
    assert choose([above, Trial(1e-3, 0.49, 1.0)], 98, 1e-2) == above


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 9)), min_size=3, max_size=3),
    st.integers(1, 10**6),
)
def test_the_choice_is_within_a_standard_error_of_the_best(
    found: list[tuple[float, float]], images: int
) -> None:
    trials = [Trial(lr, *each) for lr, each in zip((1e-3, 1e-2, 1e-1), found, strict=True)]
    chosen = choose(trials, images, 1e-2)
    best = max(trial.accuracy for trial in trials)
    assert chosen.accuracy >= best - 0.5 / math.sqrt(images) - 1e-6
    if trials[1].accuracy == best:
        assert chosen == trials[1]


def test_steps_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    attack = Recorder()
    found, _ = run(monkeypatch, dict.fromkeys(RECIPE.lrs, (0.5, 0.5)), attack)
    assert [call["steps"] for call in attack.calls] == [10, 10, 10, 40]
    assert found.steps == 70
    assert {call["release"] for call in attack.calls} == {"R"}
    assert len({call["seed"] for call in attack.calls[:3]}) == 1, "rates differ in nothing else"
    assert {call["weight_decay"] for call in attack.calls} == {RECIPE.weight_decay}


def test_the_best_rate_is_confirmed_at_full_length(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = RECIPE.model_copy(update={"confirm": True})
    attack, short = Recorder(), {1e-3: (0.5, 0.1), 1e-2: (0.9, 9.0), 1e-1: (0.6, 0.2)}
    monkeypatch.setattr(
        "ntprune.audit.search.evaluate",
        lambda model, _: (0.3, 0.3) if len(attack.calls) > 3 else short[model],
    )
    found = search(Thief(attack, "R", ("a",), recipe, 5), SAMPLES)  # type: ignore[arg-type]
    assert [(c["lr"], c["steps"]) for c in attack.calls[3:]] == [(1e-2, 40), (1e-2, 40)]
    assert [len(c["samples"]) for c in attack.calls[3:]] == [8, 10]
    assert found.best == Trial(1e-2, 0.3, 0.3), "the rate stays, what is known of it changes"
    assert len(found.trials) == 4
    assert found.steps == 3 * 10 + 40 + 40


@pytest.mark.parametrize(
    ("at_length", "taken"),
    [
        ({1e-3: 0.6, 1e-2: 0.7}, 1e-2),
        ({1e-3: 0.7, 1e-2: 0.6}, 1e-3),
        ({1e-3: 0.7, 1e-2: 0.7}, 1e-3),
    ],
    ids=["short trials misled", "they did not", "of equals theirs"],
)
def test_the_usual_rate_is_confirmed_beside_another(
    monkeypatch: pytest.MonkeyPatch, at_length: dict[float, float], taken: float
) -> None:
    """Short trials favour what starts fast: from scratch rates too low to arrive."""
    recipe = RECIPE.model_copy(update={"confirm": True})
    attack, short = Recorder(), {1e-3: 0.9, 1e-2: 0.1, 1e-1: 0.0}
    monkeypatch.setattr(
        "ntprune.audit.search.evaluate",
        lambda model, _: ((at_length if len(attack.calls) > 3 else short)[model], 1.0),
    )
    monkeypatch.setattr("ntprune.audit.search.held_out", lambda count, _: 5)
    found = search(Thief(attack, "R", ("a",), recipe, 5), SAMPLES)  # type: ignore[arg-type]
    assert [(c["lr"], c["steps"]) for c in attack.calls[3:]] == [
        (1e-3, 40),
        (1e-2, 40),
        (taken, 40),
    ]
    assert found.best == Trial(taken, at_length[taken], 1.0)
    assert found.stolen.model == taken
    assert found.steps == recipe.total_steps(10) == 3 * 10 + 3 * 40


def test_what_diverges_only_in_the_final_run_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """To the other one that was confirmed."""
    recipe = RECIPE.model_copy(update={"confirm": True})
    attack = Recorder((1e-2,), at_length=40, on=10)
    scores = {1e-3: (0.8, 1.0), 1e-2: (0.9, 1.0), 1e-1: (0.0, 1.0)}
    monkeypatch.setattr("ntprune.audit.search.choose", lambda trials, *_: trials[0])
    monkeypatch.setattr("ntprune.audit.search.evaluate", lambda model, _: scores[model])
    found = search(Thief(attack, "R", ("a",), recipe, 5), SAMPLES)  # type: ignore[arg-type]
    assert found.stolen.model == 1e-3


def test_a_rate_that_diverges_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = {1e-3: (1.0, 0.3), 1e-2: (0.0, 0.1)}
    found, _ = run(monkeypatch, scores, Recorder(diverging=(1e-1,)))
    assert found.best.lr == 1e-3
    assert len(found.trials) == 2
    with pytest.raises(TrainingDivergedError, match="'recorder' diverged at every learning rate"):
        run(monkeypatch, {}, Recorder(diverging=RECIPE.lrs))


@pytest.mark.parametrize("confirm", [False, True])
def test_a_rate_that_diverges_at_full_length_is_left_for_the_next(
    monkeypatch: pytest.MonkeyPatch, confirm: bool
) -> None:
    recipe = RECIPE.model_copy(update={"confirm": confirm})
    scores = {1e-3: (0.2, 0.3), 1e-2: (0.9, 0.1), 1e-1: (0.8, 0.1)}
    monkeypatch.setattr("ntprune.audit.search.evaluate", lambda model, _: scores[model])
    for diverging, left in (((1e-2,), 1e-1), ((1e-2, 1e-1), 1e-3)):
        attack = Recorder(diverging, at_length=40)
        found = search(Thief(attack, "R", ("a",), recipe, 5), SAMPLES)  # type: ignore[arg-type]
        assert found.best == Trial(left, *scores[left])
        assert found.stolen.model == left
    attack = Recorder(RECIPE.lrs, at_length=40)
    with pytest.raises(TrainingDivergedError, match="'recorder' diverged at every learning rate"):
        search(Thief(attack, "R", ("a",), recipe, 5), SAMPLES)  # type: ignore[arg-type]


def test_every_run_starts_from_the_release_as_it_is() -> None:
    from ntprune.attacks import make_attack

    release = base(toy(0))
    before = {k: v.clone() for k, v in release.model.module.state_dict().items()}
    samples = Resident.of(toy(1).pool, release.model.preprocessing, torch.device("cpu"))
    mine = samples.take(torch.arange(20))
    recipe = Recipe(lrs=(1e-2,), min_steps=4, epochs=1)
    attack, classes = make_attack("finetune"), toy(1).classes
    one, two = (search(Thief(attack, release, classes, recipe, 0), mine) for _ in range(2))
    after = release.model.module.state_dict()
    assert all(torch.equal(before[k], after[k]) for k in before)
    assert one.trials == two.trials
    stolen = one.stolen.model.module.state_dict()
    assert all(torch.equal(v, stolen[k]) for k, v in two.stolen.model.module.state_dict().items())
    assert not torch.equal(stolen["features.0.weight"], before["features.0.weight"])


def test_a_rate_that_blows_up_on_unseen_images_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scores = {1e-3: (0.2, 2.0), 1e-2: (1.0, math.inf), 1e-1: (1.0, math.nan)}
    found, _ = run(monkeypatch, scores, Recorder())
    assert found.best.lr == 1e-3
    assert all(math.isfinite(trial.loss) for trial in found.trials)
