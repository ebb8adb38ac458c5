"""Every method through one table. A new method is one row."""

from __future__ import annotations

import contextlib
import json
import math
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.release.toys import files
from torch import Tensor, nn

from ntprune.domains import Domain
from ntprune.engine import Resident, accuracy
from ntprune.errors import (
    ConstraintError,
    DataInvalidError,
    NtpruneError,
    SettingsError,
    TrainingDivergedError,
)
from ntprune.methods import Method, make_method, method_class, method_names, preset_names
from ntprune.methods.checkpoint import Checkpoint
from ntprune.methods.defence import Defence, Outcome
from ntprune.methods.settings import ConstrainedSettings
from ntprune.models import Model, wrap
from ntprune.release import Release, check
from ntprune.sparsity import MaskSet


@dataclass(frozen=True)
class Row:
    """What a method is run with, and what it promises.

    Attributes:
        settings: as small as makes sense; `max_source_drop` must not be what a run fails on.
        sparsity: what the release must have; None where the method finds its own.
        random: whether another seed gives other weights.
        records: whether it records a history.
        resumes: whether a run that was stopped goes on, instead of beginning anew.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    sparsity: float | None = 0.0
    random: bool = True
    records: bool = False
    resumes: bool = False


SMALL = {"batch": 32}
ANY_DROP = SMALL | {"max_source_drop": 100.0}
TABLE: dict[str, Row] = {
    "none": Row(random=False),
    "magnitude": Row(SMALL | {"sparsity": 0.8, "steps": 15}, 0.8),
    "admm": Row(
        SMALL | {"sparsity": 0.85, "rounds": 2, "inner": 3, "steps": 15}, 0.85, records=True
    ),
    "random": Row(SMALL | {"sparsity": 0.83, "steps": 15}, 0.83),
    "ntp": Row(
        ANY_DROP | {"sparsity": 0.87, "rounds": 2, "inner": 3, "finish": 2},
        0.87,
        records=True,
        resumes=True,
    ),
    "ntp@paper": Row(
        ANY_DROP | {"iterations": 4, "settle": 1, "tau": 3e-4, "head_epochs": 2},
        None,
        records=True,
        resumes=True,
    ),
}


def keys() -> set[str]:
    """Every method by its name, and every preset of one as `name@preset`."""
    return {
        name if preset == "default" else f"{name}@{preset}"
        for name in method_names()
        for preset in preset_names(name)
    }


def kind(key: str) -> type[Method]:
    name, _, preset = key.partition("@")
    return method_class(name, preset or "default")


@dataclass
class Runs:
    """Two runs with one seed and one with another, and the base as it was and is."""

    row: Row
    first: Release
    again: Release
    other: Release
    base: Release
    before: dict[str, Tensor]
    random_state: bool


def weights(model: Model) -> dict[str, Tensor]:
    return {k: v.clone() for k, v in model.module.state_dict().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def test_the_table_has_every_method() -> None:
    assert keys() == set(TABLE), "give every method and preset a row"


@pytest.fixture(scope="module", params=sorted(TABLE))
def runs(
    request: pytest.FixtureRequest, tiny_base: Release, tiny_source: Domain, tiny_target: Domain
) -> Runs:
    row = TABLE[request.param]
    before = weights(tiny_base.model)
    made = []
    for seed, noise in ((1, 0), (1, 1), (2, 2)):
        torch.manual_seed(noise)
        state = torch.random.get_rng_state()
        run = kind(request.param)(**row.settings)
        made.append(run(tiny_base, tiny_source, [tiny_target], seed=seed))
    untouched = torch.equal(state, torch.random.get_rng_state())
    return Runs(row, *made, tiny_base, before, untouched)


def test_the_base_is_not_changed(runs: Runs) -> None:
    assert same(runs.before, weights(runs.base.model))
    assert runs.first.base is (None if runs.first.card.method == "none" else runs.base)
    shared = {p.data_ptr() for p in runs.base.model.module.parameters()}
    assert not shared & {p.data_ptr() for p in runs.first.model.module.parameters()}


def test_the_sparsity_asked_for_is_the_sparsity_got(runs: Runs) -> None:
    prunable = runs.first.model.prunable()
    masks = runs.first.masks.only(prunable)
    assert masks.total == sum(p.numel() for p in prunable.values())
    if runs.row.sparsity is None:
        assert 0.1 < masks.sparsity < 0.9
    else:
        assert masks.zeros == round(runs.row.sparsity * masks.total)
    assert all(bool(mask.any()) for mask in masks.values())
    everything = dict(runs.first.model.encoder_parameters())
    for name, mask in runs.first.masks.items():
        zero = everything[name].detach() == 0
        assert torch.equal(zero, ~mask), f"{name}: other zeros than the mask's"


def test_all_values_are_finite_and_the_model_is_ready_to_use(runs: Runs) -> None:
    for release in (runs.first, runs.other):
        assert all(torch.isfinite(v).all() for v in release.model.module.state_dict().values())
        assert not release.model.module.training
        assert release.model.spec == runs.base.model.spec


def test_the_seed_decides_and_nothing_else(runs: Runs) -> None:
    assert same(weights(runs.first.model), weights(runs.again.model))
    assert all(torch.equal(runs.first.masks[n], runs.again.masks[n]) for n in runs.first.masks)
    assert same(weights(runs.first.model), weights(runs.other.model)) != runs.row.random
    assert runs.random_state, "the global random state was used"


def test_the_card(runs: Runs, tiny_source: Domain, tiny_target: Domain) -> None:
    card, release = runs.first.card, runs.first
    made = make_method(card.method, preset=card.preset, **runs.row.settings)
    assert TABLE[card.method if card.preset == "default" else f"{card.method}@{card.preset}"]
    assert card.settings == made.settings.model_dump(mode="json")
    assert runs.row.settings.items() <= card.settings.items()
    assert card.model == release.model.spec
    assert card.targets == (tiny_target.name,)
    assert card.seed == 1
    assert card.sparsity == release.masks.only(release.model.prunable()).sparsity
    assert card.layers == release.masks.per_layer()
    assert (card.steps > 0) == (runs.row.sparsity != 0)
    assert card.base == runs.base.card.source
    assert card.source.content_hash == tiny_source.content_hash
    for part, claimed in (
        (tiny_source.test, card.source.test),
        (tiny_source.owner_validation, card.source.validation),
    ):
        data = Resident.of(part, release.model.preprocessing, torch.device("cpu"))
        assert accuracy(release.model, data) == claimed
    assert {"python", "torch", "ntprune"} <= card.versions.keys()


def test_the_history_counts_upwards(runs: Runs) -> None:
    history = runs.first.history
    assert bool(history) or not runs.row.records
    json.dumps(history, allow_nan=False)
    steps = [record["step"] for record in history]
    assert steps == sorted(steps)
    assert all(0 <= step <= runs.first.card.steps for step in steps)
    for record in history:
        numbers = {k: v for k, v in record.items() if isinstance(v, float)}
        assert all(math.isfinite(v) for v in numbers.values())
        assert all(numbers.get(k, 0) >= 0 for k in ("source_loss", "fisher", "primal", "dual"))
        assert 0 <= record.get("sparsity", 0) < 1


def test_what_is_saved_holds_what_the_card_says(
    runs: Runs, tiny_source: Domain, tmp_path: Any
) -> None:
    runs.first.save(tmp_path / "release")
    found = check(tmp_path / "release", tiny_source, tolerance=0.0)
    assert found.sparsity == runs.first.card.sparsity
    assert found.test == runs.first.card.source.test


@pytest.fixture
def noisy(tiny_base: Release) -> Model:
    """A network with dropout, which draws from torch's global generator."""
    plain = tiny_base.model.copy()
    net = nn.Sequential(
        OrderedDict(body=plain.encoder, tail=nn.Sequential(nn.Dropout(0.5), plain.head))
    )
    spec = plain.spec
    return wrap(
        net, encoder="body", head="tail", classes=spec.classes, preprocessing=spec.preprocessing
    )


@pytest.mark.parametrize("name", sorted(TABLE))
def test_dropout_follows_the_seed_too(
    name: str, noisy: Model, tiny_source: Domain, tiny_target: Domain
) -> None:
    made = []
    for noise in (0, 1):
        torch.manual_seed(noise)
        run = kind(name)(**TABLE[name].settings)
        made.append(weights(run(noisy, tiny_source, [tiny_target], seed=1).model))
    assert same(*made)


@pytest.mark.parametrize("name", sorted(TABLE))
def test_broken_weights_are_not_released(
    name: str,
    tiny_base: Release,
    tiny_source: Domain,
    tiny_target: Domain,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    method = kind(name)

    def run(self: Method, work: Defence) -> Outcome:
        with torch.no_grad():
            next(work.model.module.parameters()).fill_(math.nan)
        kept = {n: torch.ones_like(p) for n, p in work.model.prunable().items()}
        return Outcome(MaskSet(kept), 1)

    monkeypatch.setattr(method, "run", run)
    with pytest.raises(TrainingDivergedError, match="the weights became non-finite") as caught:
        method(**TABLE[name].settings)(tiny_base, tiny_source, [tiny_target])
    assert TrainingDivergedError.said_in(str(caught.value))


class StoppedError(Exception):
    """What stands for a kill."""


@dataclass
class Listener:
    """Keeps the notes of progress, and stops the run at number `last`."""

    last: int = 0
    notes: list[str] = field(default_factory=list)

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        self.notes.append(note)
        if len(self.notes) == self.last:
            raise StoppedError


@pytest.mark.parametrize("name", sorted(TABLE))
def test_a_stopped_run_ends_with_the_same_bytes(
    name: str,
    noisy: Model,
    tiny_source: Domain,
    tiny_target: Domain,
    tiny_other: Domain,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Stopped twice at each of several moments; the noise is torch's own random state."""
    monkeypatch.setattr(Checkpoint, "SHARE", math.inf)
    method, place = kind(name)(**TABLE[name].settings), tmp_path / "partial"

    def run(listener: Listener, checkpoint: Path | None = place) -> Release:
        torch.manual_seed(listener.last)
        return method(
            noisy,
            tiny_source,
            [tiny_target, tiny_other],
            seed=1,
            progress=listener,
            checkpoint=checkpoint,
        )

    whole = Listener()
    run(whole, None).save(tmp_path / "whole")
    wanted = files(tmp_path / "whole")
    reports = len(whole.notes)
    for moment in sorted({1, 2, reports // 2 + 1, reports} & set(range(1, reports + 1))):
        with pytest.raises(StoppedError):
            run(Listener(moment))
        with contextlib.suppress(StoppedError):  # near the end there is not so much to report
            run(Listener(moment))
        again = Listener()
        release = run(again)
        out = tmp_path / f"stopped-{moment}"
        release.save(out)
        assert files(out) == wanted, f"stopped at report {moment} of {reports}"
        assert not place.exists()
        if TABLE[name].resumes:
            assert again.notes[0] == "taken up again"


@pytest.mark.parametrize("name", sorted(TABLE))
@pytest.mark.parametrize(
    ("change", "words"),
    [({"sparsity": 1.0}, "sparsity"), ({"no_such": 1}, "no_such"), ({"batch": 0}, "batch")],
)
def test_wrong_settings_are_refused_by_name(name: str, change: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=f"method '{kind(name).name}', setting '{words}'"):
        kind(name)(**change)


@pytest.mark.parametrize("name", sorted(TABLE))
def test_data_that_does_not_fit_is_refused(
    name: str, tiny_base: Release, tiny_source: Domain, tiny_other: Domain
) -> None:
    run = kind(name)(**TABLE[name].settings)
    with pytest.raises(DataInvalidError, match="is the source itself"):
        run(tiny_base, tiny_source, [tiny_source])
    with pytest.raises(DataInvalidError, match="give the source"):
        run(tiny_base, tiny_other, [tiny_source])
    if kind(name).needs_target:
        with pytest.raises(SettingsError, match="needs a target"):
            run(tiny_base, tiny_source)


@pytest.mark.parametrize("name", [name for name in sorted(TABLE) if kind(name).needs_target])
def test_targets_may_be_several_with_other_classes(
    name: str, tiny_base: Release, tiny_source: Domain, tiny_target: Domain, tiny_other: Domain
) -> None:
    run = kind(name)(**TABLE[name].settings)
    release = run(tiny_base, tiny_source, [tiny_target, tiny_other])
    assert release.card.targets == (tiny_target.name, tiny_other.name)
    if TABLE[name].sparsity is not None:
        assert release.masks.sparsity == pytest.approx(TABLE[name].sparsity, abs=1e-3)


@pytest.mark.parametrize(
    "name", [name for name in sorted(TABLE) if issubclass(kind(name).Settings, ConstrainedSettings)]
)
def test_a_promise_that_cannot_be_kept_is_not_made(
    name: str, tiny_base: Release, tiny_source: Domain, tiny_target: Domain
) -> None:
    """At 97 % sparsity and a handful of steps the tiny source cannot be kept."""
    absurd = TABLE[name].settings | {"max_source_drop": 0.0, "sparsity": 0.97}
    with pytest.raises(
        ConstraintError, match=r"lost \d+\.\d+ percentage points.*0 are allowed"
    ) as e:
        kind(name)(**absurd)(tiny_base, tiny_source, [tiny_target])
    assert isinstance(e.value, NtpruneError)
    assert "raise max_source_drop" in str(e.value)
