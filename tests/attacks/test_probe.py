"""Probes: the encoder's bits stay, and a probe comes first."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.attacks.thefts import pruned, state, steal

from ntprune.engine import loop


@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
def test_a_linear_probe_leaves_every_bit_of_the_encoder(optimiser: str) -> None:
    before = state(pruned().model)
    after = state(steal("linear-probe", pruned(), steps=20, optimiser=optimiser).model)
    for name in before:
        assert torch.equal(before[name], after[name]) == name.startswith("features"), name


def test_a_linear_probe_encodes_each_image_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    encode = type(pruned().model).encode

    def count(model: Any, batch: torch.Tensor) -> torch.Tensor:
        seen.append(len(batch))
        return encode(model, batch)

    monkeypatch.setattr(type(pruned().model), "encode", count)
    steal("linear-probe", pruned(), steps=50, batch=16)
    assert seen == [60]


def test_the_probe_comes_first_and_the_encoder_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    phases: list[tuple[int, bool]] = []
    before = state(pruned().model)
    inner = loop.train

    def watch(model: Any, batches: Any, steps: int, **settings: Any) -> Any:
        log = inner(model, batches, steps, **settings)
        now = state(model)
        still = all(torch.equal(before[n], now[n]) for n in before if n.startswith("features"))
        phases.append((steps, still))
        return log

    monkeypatch.setattr("ntprune.attacks.theft.train", watch)
    log = steal("probe-finetune", pruned(), steps=21).log
    assert phases == [(5, True), (16, False)]
    assert log is not None
    assert (len(log.losses), log.phase) == (21, 5)
    assert log.first == log.losses[5].item()
