"""The jobs of an audit: pure functions from a JSON spec to a JSON result."""

from __future__ import annotations

import time
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from ntprune.attacks import make_attack
from ntprune.audit.fingerprint import (
    filter_directions,
    head_weights,
    lone_channels,
    stray_statistics,
    weight_scales,
    whole_scales,
)
from ntprune.audit.protocol import Recipe
from ntprune.audit.right import packed
from ntprune.audit.search import Thief, search
from ntprune.audit.subsets import source_subset, subset
from ntprune.engine import Resident, accuracy, right
from ntprune.errors import AuditError
from ntprune.jobs import Context, Store
from ntprune.methods import make_method
from ntprune.models import Model, ModelSpec, Preprocessing
from ntprune.release import Card, Release, SourceRecord, load
from ntprune.release.atomic import sha256
from ntprune.release.card import versions
from ntprune.release.files import WEIGHTS
from ntprune.sparsity import MaskSet


def attack_point(spec: dict[str, Any], context: Context) -> dict[str, Any]:
    """One attack with one budget and one seed; the test split is read once, at the end.

    Spec: `attack`, `release` (SHA-256 of the weights, or null for an attack that uses none),
    `model` (blueprint for an attack without a release), `target` (content hash), `n`, `seed`,
    `recipe`, and for an attack that needs source images `source` (content hash). `card`, `code` and
    `network`, here and below, tell apart files with the same weights, attacks and networks of the
    user's own (`Plan`); all that reads them is what keeps releases in memory.

    Result: `accuracy` on the test split; `validation` and `loss` on the thief's held-out slice;
    `lr`; `trials`; `first_loss` and `last_loss` of training and how far it was still `falling`;
    `steps`; `seconds`.
    """
    start = time.perf_counter()
    release = _release(spec, context)
    target = Store(context.store).get(spec["target"])
    preprocessing, where = release.model.preprocessing, torch.device(context.device)
    # Only what the thief has is brought to the network's size: a pool may be large.
    mine = target.pool.take(subset(target.pool.labels, spec["n"], spec["seed"]))
    samples = Resident.of(mine, preprocessing, where)
    attack = make_attack(spec["attack"])
    recipe = Recipe.model_validate(spec["recipe"])
    source = None
    if attack.threat.source:
        pool = Store(context.store).get(spec["source"]).pool
        source = Resident.of(
            pool.take(source_subset(pool.labels, spec["seed"])), preprocessing, where
        )
    thief = Thief(attack, release, target.classes, recipe, spec["seed"], source)
    found = search(thief, samples)
    log = found.stolen.log
    return {
        "accuracy": accuracy(found.stolen.model, _test(context, spec["target"], preprocessing)),
        "validation": found.best.accuracy,
        "loss": found.best.loss,
        "lr": found.best.lr,
        "trials": [[t.lr, t.accuracy, t.loss] for t in found.trials],
        "first_loss": log.first if log else None,
        "last_loss": log.last if log else None,
        "falling": log.falling if log else None,
        "steps": found.steps,
        "seconds": time.perf_counter() - start,
    }


def untouched(spec: dict[str, Any], context: Context) -> dict[str, Any]:
    """The release as it is, on the target's test split. Spec: `release`, `target`."""
    start = time.perf_counter()
    release = _release(spec, context)
    target = Store(context.store).get(spec["target"])
    test = _test(context, spec["target"], release.model.preprocessing)
    stolen = make_attack("null")(release, test, target.classes)
    return {
        "accuracy": accuracy(stolen.model, test),
        "steps": 0,
        "seconds": time.perf_counter() - start,
    }


def source_accuracy(spec: dict[str, Any], context: Context) -> dict[str, Any]:
    """Test accuracy of a release on its source, and whether its weights look as trained ones do.

    Spec: `release`, `source`. The test split is read once; what the weights are held against are
    the owner's validation images. `right` says of each test image whether it is (`packed`).
    """
    start = time.perf_counter()
    release = _release(spec, context)
    preprocessing = release.model.preprocessing
    test = _test(context, spec["source"], preprocessing)
    images = Store(context.store).get(spec["source"]).owner_validation
    held = Resident.of(images, preprocessing, test.labels.device)
    each = right(release.model, test)
    strays = stray_statistics(release.model, held)
    return {
        "accuracy": int(each.sum()) / len(each),
        "right": packed(each),
        "sparsity": MaskSet.from_zeros(release.model.prunable()).sparsity,
        "scales": weight_scales(release.model),
        "whole_scales": whole_scales(release.model),
        "directions": filter_directions(release.model.prunable()),
        "head_directions": filter_directions(head_weights(release.model)),
        "strays": {name: found.share for name, found in strays.items()},
        "lone": lone_channels(release.model)
        | {f"{name}.running": found.farthest for name, found in strays.items()},
        "steps": 0,
        "seconds": time.perf_counter() - start,
    }


def make_control(spec: dict[str, Any], context: Context) -> dict[str, Any]:
    """Train a control from the unprotected model.

    Spec: `method`, `settings`, `base` (SHA-256 of the weights), `source`, `seed`. The control is
    left in `context.produced`; the result names it by the SHA-256 of its `weights`.
    """
    start = time.perf_counter()
    base = _load(context.releases[spec["base"]], spec["base"], "cpu", _meaning(spec))
    source = Store(context.store).get(spec["source"])
    control = make_method(spec["method"], **spec["settings"])
    release = control(base, source, seed=spec["seed"], device=context.device)
    release.base = None
    weights = _keep(release, context)
    return {
        "weights": weights,
        "steps": release.card.steps,
        "seconds": time.perf_counter() - start,
    }


def _keep(release: Release, context: Context) -> str:
    """Save under the hash of the weights; a copy that a killed run left is the same."""
    context.produced.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".draft-", dir=context.produced) as folder:
        draft = release.save(Path(folder) / "release")
        weights = sha256(draft / WEIGHTS)
        place = context.produced / weights
        try:
            draft.rename(place)
        except OSError:
            # A killed run, or another one of this very job, was faster.
            if not place.is_dir():
                raise
    return weights


def _meaning(spec: dict[str, Any]) -> tuple[str | None, str | None]:
    """What the same weights may be read as: the card's hash and the network's."""
    return spec.get("card"), spec.get("network")


@lru_cache(maxsize=8)
def _load(place: Path, weights: str, device: str, _: object) -> Release:
    release = load(place, device)
    if release.card.weights_sha256 != weights:
        raise AuditError(f"{place} changed while it was audited: start the audit anew")
    return release


def _release(spec: dict[str, Any], context: Context) -> Release:
    weights = spec["release"]
    if weights is None:
        return _blank(ModelSpec.model_validate(spec["model"]), context.device)
    place = context.releases.get(weights, context.produced / weights)
    return _load(place, weights, context.device, _meaning(spec))


def _blank(spec: ModelSpec, device: str) -> Release:
    """What an attack that steals nothing is handed: the blueprint, with arbitrary weights."""
    model = Model.fresh(spec, seed=0).to(device)
    masks = MaskSet.keep_all(model.prunable())
    nowhere = SourceRecord(name="", content_hash="", validation=0, test=0)
    card = Card(
        method="none",
        settings={},
        model=spec,
        source=nowhere,
        sparsity=0.0,
        layers={},
        steps=0,
        seed=0,
        versions=versions(),
    )
    return Release(model, masks, card)


def _test(context: Context, content_hash: str, preprocessing: Preprocessing) -> Resident:
    return _test_cached(context.store, content_hash, preprocessing, context.device)


@lru_cache(maxsize=4)
def _test_cached(
    store: Path, content_hash: str, preprocessing: Preprocessing, device: str
) -> Resident:
    return Resident.of(Store(store).get(content_hash).test, preprocessing, torch.device(device))
