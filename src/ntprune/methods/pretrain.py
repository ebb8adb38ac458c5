"""The model worth stealing: supervised training on the source."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from ntprune.domains import SIZES, Domain, require_domain
from ntprune.engine import (
    Batches,
    Progress,
    Resident,
    accuracy,
    generator,
    layers_draw,
    resolve_device,
    silent,
    stream_seed,
    train,
)
from ntprune.errors import SettingsError, first_fault, out_of_memory
from ntprune.methods.measure import unprotected
from ntprune.models import Model, ModelSpec, Preprocessing
from ntprune.release import Release


def pretrain(
    architecture: str,
    source: Domain,
    *,
    epochs: float = 10,
    lr: float = 3e-3,
    batch: int = 128,
    width: int | None = None,
    size: int | None = None,
    stem: str | None = None,
    seed: int = 0,
    device: str = "auto",
    progress: Progress = silent,
) -> Release:
    """Train `architecture` from scratch on `source` and keep the best validation checkpoint.

    Args:
        architecture: name in the architecture registry.
        source: its `owner_train` split is trained on, its `owner_validation` split chooses.
        epochs: passes over the training images.
        lr: peak of a one-cycle schedule of AdamW.
        batch: images a step, at least 2.
        width: channels of the first stage, where the architecture has the choice.
        size: pixels the network reads; the domain's own size if not given.
        stem: `small` or `imagenet`; by default `small` below 96 pixels, where there is resolution
            to keep, `imagenet` from there on, where keeping it takes sixteen times the memory.
        seed: of initialisation, order and augmentation.
        device: `auto`, `cpu`, `cuda`, ...
        progress: told how far training is.

    Returns:
        A release of method `none`; its card holds validation and test accuracy.

    Raises:
        UnknownNameError: no such architecture.
        SettingsError: a setting outside its range, or images too small for the architecture.
        DataInvalidError: the source is unsound.
        TrainingDivergedError: the loss was not finite at the end.
    """
    require_domain(source, "source")
    if not 0 < lr < math.inf:
        raise SettingsError(f"lr {lr:g}: expected a positive number, for instance 3e-3")
    if not 0 <= epochs < math.inf:
        raise SettingsError(f"epochs {epochs:g}: expected a number of passes, for instance 10")
    if batch < 2:
        raise SettingsError(f"batch {batch}: expected at least 2 images, as BatchNorm needs them")
    images = source.owner_train.images
    size = source.size if size is None else size
    if size not in SIZES:
        raise SettingsError(f"size {size}: expected {SIZES[0]} to {SIZES[-1]} pixels")
    try:
        spec = ModelSpec.model_validate(
            {
                "architecture": architecture,
                "classes": source.classes,
                "stem": stem or ("small" if size < 96 else "imagenet"),
                "width": width,
                "preprocessing": Preprocessing.fit(images, source.channels, size),
            }
        )
    except ValidationError as error:
        fault = first_fault(error)
        raise SettingsError(f"{fault.where} {fault.found}: {fault.expected}") from error
    model = Model.fresh(spec, stream_seed(seed, "pretrain", "init")).to(resolve_device(device))
    _check_size(model)
    data = Resident.of(source.owner_train, model.preprocessing, model.device)
    held_out = Resident.of(source.owner_validation, model.preprocessing, model.device)
    steps = _steps_for(len(data), batch, epochs)
    history: list[dict[str, Any]] = []
    best: tuple[float, dict[str, Tensor]] = (-1.0, {})

    def look(step: int) -> None:
        nonlocal best
        reached = accuracy(model, held_out)
        history.append({"phase": "pretrain", "step": step, "validation": reached})
        if reached >= best[0]:
            best = reached, copy.deepcopy(model.module.state_dict())
        progress("pretraining", step, steps, f"validation {100 * reached:.2f} %")

    with layers_draw(stream_seed(seed, "pretrain", "layers"), model.device):
        train(
            model,
            Batches(
                data,
                batch,
                generator(seed, "pretrain", "order"),
                shift=1 if size <= 16 else 2,
                flip=source.flips,
            ),
            steps,
            lr=lr,
            every=max(1, steps // 10),
            on_step=look,
        )
    model.module.load_state_dict(best[1])
    release = unprotected(model, source, seed)
    settings = {"epochs": epochs, "lr": lr, "batch": batch, "optimiser": "adamw, one-cycle"}
    release.card = release.card.model_copy(update={"settings": settings, "steps": steps})
    release.history = history
    return release


def _steps_for(images: int, batch: int, epochs: float) -> int:
    """Optimiser steps of `epochs` passes over `images`, at least 1."""
    return max(1, math.ceil(epochs * images / batch))


@torch.no_grad()
def _check_size(model: Model) -> None:
    """Refuse images of which nothing is left before the last of the network's poolings."""
    pre = model.preprocessing
    blank = torch.zeros(2, pre.channels, pre.size, pre.size, dtype=torch.uint8, device=model.device)
    model.module.eval()
    try:
        model(blank)
    except RuntimeError as error:
        if out_of_memory(error):
            raise
        raise SettingsError(
            f"size {pre.size}: {model.spec.architecture} cannot read images of this size "
            f"({str(error).splitlines()[0]}): give a larger one, for instance 32"
        ) from error
    model.module.train()
