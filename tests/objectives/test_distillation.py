"""Distilled cross-entropy against its definition, entry by entry."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from ntprune.objectives import distilled_cross_entropy


@given(
    n=st.integers(1, 5),
    classes=st.integers(2, 6),
    share=st.floats(0, 1),
    temperature=st.floats(0.5, 8),
    seed=st.integers(0, 99),
)
def test_is_the_sum_over_images_and_classes(
    n: int, classes: int, share: float, temperature: float, seed: int
) -> None:
    draw = torch.Generator().manual_seed(seed)
    logits, teacher = torch.randn(2, n, classes, generator=draw, dtype=torch.float64)
    labels = torch.randint(classes, (n,), generator=draw)
    total = 0.0
    for i in range(n):
        p = (teacher[i] / temperature).softmax(0).tolist()
        q = (logits[i] / temperature).softmax(0).tolist()
        total += (
            share * temperature**2 * sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
        )
        total -= (1 - share) * math.log(logits[i].softmax(0)[labels[i]].item())
    found = distilled_cross_entropy(logits, labels, teacher, share, temperature)
    assert found.item() == pytest.approx(total / n, abs=1e-9)


def test_ends_of_the_share() -> None:
    logits, labels = torch.randn(4, 3), torch.tensor([0, 1, 2, 0])
    alone = distilled_cross_entropy(logits, labels, torch.randn(4, 3), 0.0)
    assert alone.item() == pytest.approx(F.cross_entropy(logits, labels).item())
    # Logits that differ by a constant are the same distribution.
    assert distilled_cross_entropy(logits, labels, logits + 7, 1.0).item() == pytest.approx(
        0, abs=1e-5
    )


def test_a_student_that_follows_ends_at_the_teacher() -> None:
    teacher = torch.tensor([[2.0, -1.0, 0.5]])
    logits = torch.zeros(1, 3, requires_grad=True)
    for _ in range(300):
        (gradient,) = torch.autograd.grad(
            distilled_cross_entropy(logits, torch.tensor([1]), teacher, 1.0), logits
        )
        logits = (logits - gradient).detach().requires_grad_()
    assert torch.allclose(logits.softmax(1), teacher.softmax(1), atol=1e-4)
