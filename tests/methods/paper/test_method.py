"""The preset as a whole: when it stops, what it releases, and that every switch is alive."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ntprune.domains import Domain
from ntprune.errors import LayerCollapseError, SettingsError, TrainingDivergedError
from ntprune.methods import make_method
from ntprune.methods.checkpoint import Checkpoint
from ntprune.methods.paper import PaperSettings
from ntprune.methods.paper.method import stops
from ntprune.models import Model
from ntprune.release import Release

# After the first iteration a weight must change its sign to be masked, which takes larger steps.
SMALL: dict[str, Any] = {
    "batch": 16,
    "iterations": 4,
    "settle": 1,
    "lr": 0.01,
    "source_share": 1.0,
    "tau": 3e-4,
    "head_epochs": 1,
}
SWITCHES: dict[str, dict[str, Any]] = {
    "squared_penalty": {"rho": 0.5, "tau": 0.03},
    "adapt_rho": {},
    "keep_optimiser": {},
    "prune_normalisation": {},
    "forget_pruned_dual": {"rho": 0.5, "tau": 0.03},
    "apply_last_mask": {},
    "release_z": {},
    "masks_return": {"apply_last_mask": True},
    "refit_target_head": {},
    "source_statistics": {},
}


@pytest.fixture(scope="module")
def run(tiny_base: Release, tiny_source: Domain, tiny_target: Domain) -> Any:
    """Runs the preset on the tiny domains; one run for each choice of settings."""
    made: dict[str, Release] = {}

    def protect(**settings: Any) -> Release:
        key = str(sorted(settings.items()))
        if key not in made:
            method = make_method("ntp", preset="paper", **(SMALL | settings))
            made[key] = method(tiny_base, tiny_source, [tiny_target], seed=1)
        return made[key]

    return protect


def encoder(model: Model) -> dict[str, Tensor]:
    return dict(model.encoder_parameters())


def test_the_defaults_are_the_authors() -> None:
    settings = PaperSettings()
    assert (settings.alpha, settings.clamp, settings.fisher, settings.rho) == (1, 10, 1e3, 0.005)
    assert (settings.lr, settings.weight_decay, settings.batch) == (1e-3, 8e-4, 256)
    assert (settings.epochs, settings.sparsity, settings.iterations) == (1, 0.99, 100)
    assert settings.tau / settings.rho == pytest.approx(0.02)
    assert set(SWITCHES) == {n for n, v in settings.model_dump().items() if isinstance(v, bool)}


@pytest.mark.parametrize(
    ("number", "change", "sparsity", "ends"),
    [
        (10, 0.0, 1.0, False),
        (11, 1.0, 0.99, False),
        (11, 1.0, 0.991, True),
        (11, -9e-5, 0.5, True),
        (11, 9e-5, 0.5, True),
        (11, 1.1e-4, 0.5, False),
    ],
)
def test_the_stopping_rule(number: int, change: float, sparsity: float, ends: bool) -> None:
    assert stops(PaperSettings(), number, change, sparsity) is ends


def test_it_stops_by_sparsity_or_by_its_cap(run: Any) -> None:
    history = run().history
    assert len(history) == 4
    shares = [record["sparsity"] for record in history]
    assert shares == sorted(shares)
    early = run(sparsity=shares[1] / 2).history
    assert len(early) == 2
    assert early == history[:2]


def test_the_last_mask_is_not_applied(run: Any) -> None:
    """The weights satisfy the mask before it, and that one is released."""
    release = run()
    history = release.history
    assert release.masks.sparsity == pytest.approx(history[-2]["sparsity"])
    assert history[-2]["sparsity"] < history[-1]["sparsity"]
    applied = run(apply_last_mask=True)
    assert applied.history == history
    assert applied.masks.sparsity == pytest.approx(history[-1]["sparsity"])
    kept = encoder(release.model)
    for name, weight in encoder(applied.model).items():
        assert torch.equal(weight, kept[name] * applied.masks[name])


def test_z_is_near_the_weights_and_has_their_support(run: Any) -> None:
    """W − Z is the change of U, which is at most δ in size."""
    masked, split = run(apply_last_mask=True), run(release_z=True)
    assert all(torch.equal(masked.masks[n], split.masks[n]) for n in masked.masks)
    weights = encoder(masked.model)
    apart = [
        float((z - weights[name]).detach().abs().max()) for name, z in encoder(split.model).items()
    ]
    assert 0 < max(apart) <= 2 * 3e-4 / 0.005 + 1e-6


def test_both_heads_stand_still(run: Any, tiny_base: Release) -> None:
    release = run()
    for mine, theirs in zip(
        release.model.head.parameters(), tiny_base.model.head.parameters(), strict=True
    ):
        assert torch.equal(mine, theirs)
        assert mine.requires_grad


def test_what_is_pruned(run: Any) -> None:
    release = run()
    assert set(release.masks) == set(encoder(release.model))
    plain = run(prune_normalisation=False)
    assert set(plain.masks) == set(plain.model.prunable())
    assert set(release.card.layers) == set(release.masks)


def test_statistics_of_the_source_change_nothing_else(run: Any) -> None:
    theirs, ours = (
        run(source_statistics=value).model.module.state_dict() for value in (False, True)
    )
    running = {name for name in theirs if "running" in name}
    assert running
    for name in theirs.keys() - {n for n in theirs if "num_batches" in n}:
        assert torch.equal(theirs[name], ours[name]) is (name not in running)


@pytest.mark.parametrize("switch", SWITCHES)
def test_every_switch_does_something(run: Any, switch: str) -> None:
    extra = SWITCHES[switch]
    turned = {switch: not PaperSettings.model_fields[switch].default}
    one, other = run(**extra).model, run(**(extra | turned)).model
    states = one.module.state_dict(), other.module.state_dict()
    assert not all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_masks_that_return_need_something_that_prunes(run: Any) -> None:
    with pytest.raises(SettingsError, match=r"'masks_return' = True.*apply_last_mask or release_z"):
        make_method("ntp", preset="paper", masks_return=True)
    assert run(masks_return=True, release_z=True).masks.sparsity > 0.1


def test_a_threshold_above_every_weight_is_refused(run: Any) -> None:
    with pytest.raises(LayerCollapseError, match=r"tau / rho = 1 / 0\.005"):
        run(tau=1.0)


def test_divergence_is_told_and_not_released(run: Any) -> None:
    with pytest.raises(TrainingDivergedError, match="in iteration 1"):
        run(fisher=1e39)


@pytest.mark.parametrize("switch", ["adapt_rho", "keep_optimiser", "refit_target_head"])
def test_a_stopped_run_remembers_what_the_switches_add(
    run: Any,
    switch: str,
    tiny_base: Release,
    tiny_source: Domain,
    tiny_target: Domain,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Checkpoint, "SHARE", math.inf)
    method = make_method("ntp", preset="paper", **(SMALL | {switch: True}))

    def stop(stage: str, done: int, total: int, note: str = "") -> None:
        if done == 2:
            raise KeyboardInterrupt

    given = (tiny_base, tiny_source, [tiny_target])
    with pytest.raises(KeyboardInterrupt):
        method(*given, seed=1, checkpoint=tmp_path, progress=stop)
    taken_up = method(*given, seed=1, checkpoint=tmp_path)
    whole = run(**{switch: True})
    assert taken_up.history == whole.history
    states = [release.model.module.state_dict() for release in (taken_up, whole)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
