"""Cross-entropy with a ceiling."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ntprune.objectives import clamped_cross_entropy


@settings(max_examples=80, deadline=None)
@given(
    count=st.integers(1, 8),
    classes=st.integers(2, 6),
    ceiling=st.floats(0.1, 20),
    spread=st.sampled_from([0.1, 3.0, 30.0]),
    seed=st.integers(0, 9999),
)
def test_it_is_the_smaller_of_mean_and_ceiling(
    count: int, classes: int, ceiling: float, spread: float, seed: int
) -> None:
    draw = torch.Generator().manual_seed(seed)
    logits = spread * torch.randn(count, classes, generator=draw, dtype=torch.float64)
    labels = torch.randint(classes, (count,), generator=draw)
    total = 0.0
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        top = max(row)
        total += top + math.log(sum(math.exp(v - top) for v in row)) - row[label]
    found = clamped_cross_entropy(logits, labels, ceiling)
    assert float(found) == pytest.approx(min(total / count, ceiling))


def test_the_batch_mean_is_clamped_and_not_each_sample() -> None:
    logits = torch.tensor([[10.0, 0.0], [10.0, 0.0]])
    labels = torch.tensor([0, 1])  # cross-entropies of almost 0 and almost 10
    assert float(clamped_cross_entropy(logits, labels, 6.0)) == pytest.approx(5.0, abs=1e-3)


def test_the_gradient_is_that_of_cross_entropy_below_and_zero_above() -> None:
    labels = torch.tensor([0, 1])
    logits = torch.tensor([[-4.0, 4.0], [3.0, -3.0]], requires_grad=True)
    clamped_cross_entropy(logits, labels, 1.0).backward()
    assert logits.grad is not None
    assert logits.grad.abs().sum() == 0
    logits.grad = None
    clamped_cross_entropy(logits, labels, 100.0).backward()
    wanted = torch.autograd.grad(torch.nn.functional.cross_entropy(logits, labels), logits)[0]
    assert torch.equal(logits.grad, wanted)
    assert wanted.abs().sum() > 0


def test_a_broken_network_is_not_hidden_by_the_ceiling() -> None:
    logits = torch.tensor([[math.nan, 0.0]])
    assert clamped_cross_entropy(logits, torch.tensor([0]), 2.0).isnan()
