"""One ADMM W-step with all its regularisers against a plain training step on the same images."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from benchmarks.loop import make_data, make_model
from benchmarks.timing import interleaved
from ntprune.engine.loop import make_optimiser
from ntprune.methods.defence import TargetData
from ntprune.methods.ntp.target_head import TargetHead
from ntprune.objectives import clamped_cross_entropy, fisher_ratio
from ntprune.sparsity import ADMM, GlobalMagnitude

STEPS, BATCH = 30, 128


def measure(rounds: int = 7) -> dict[str, Any]:
    """Seconds of both and their ratio; a plain step sees source and target images too."""
    model = make_model()
    data = make_data(model)
    source, target = data.take(torch.arange(BATCH)), data.take(torch.arange(BATCH, 2 * BATCH))
    head = TargetHead(model, TargetData("bench", target, target, model.spec.classes), seed=0)
    head.refit(model, steps=1)
    admm = ADMM(list(model.prunable().values()), GlobalMagnitude(), rho=0.1)
    optimiser = make_optimiser(model.module.parameters(), "adamw", 1e-3, 5e-4)

    def plain() -> None:
        model.module.train()
        for _ in range(STEPS):
            loss = F.cross_entropy(model(source.images), source.labels)
            loss = loss + F.cross_entropy(model(target.images), target.labels)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()

    def w_step() -> None:
        model.module.train()
        for _ in range(STEPS):
            loss = F.cross_entropy(model(source.images), source.labels)
            features = model.encode(target.images)
            away = clamped_cross_entropy(head(features), target.labels, 5.0)
            away = away + clamped_cross_entropy(model.head(features), target.labels, 5.0)
            loss = loss - 0.1 * away + fisher_ratio(features, target.labels, head.classes)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            admm.pull()
            optimiser.step()

    step, base, ratio = interleaved(w_step, plain, rounds)
    return {
        "threads": torch.get_num_threads(),
        "w_step_ms": round(1e3 * step / STEPS, 2),
        "plain_step_ms": round(1e3 * base / STEPS, 2),
        "ratio_to_plain": round(ratio, 3),
    }
