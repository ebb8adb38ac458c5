"""The linear probe against its own objective, minimised by gradient descent."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ntprune.errors import SettingsError
from ntprune.metrics import probe_loss


def sample(seed: int, count: int, apart: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 3
    centres = apart * torch.tensor([[3.0, 0, 0, 1], [0, 2, 0, 1], [0, 0, 1, 1]]).double()
    noise = torch.randn(count, 4, generator=draw, dtype=torch.float64)
    return centres[labels] + noise, labels


def test_it_minimises_what_it_says() -> None:
    features, labels = sample(0, 60)
    held, wanted = sample(1, 30)
    mean, spread = features.mean(0), features.std(0, correction=0)
    weight = torch.zeros(3, 4, dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    descent = torch.optim.LBFGS([weight, bias], max_iter=500, line_search_fn="strong_wolfe")

    def objective() -> torch.Tensor:
        descent.zero_grad()
        logits = F.linear((features - mean) / spread, weight, bias)
        loss = F.cross_entropy(logits, labels, reduction="sum") + weight.square().sum() / 2
        loss.backward()
        return loss

    descent.step(objective)
    expected = F.cross_entropy(F.linear((held - mean) / spread, weight, bias), wanted).item()
    assert probe_loss(features, labels, held, wanted) == pytest.approx(expected, rel=1e-2)


def test_useless_features_end_at_guessing() -> None:
    labels = np.arange(90) % 3
    assert probe_loss(np.ones((90, 5)), labels, np.ones((30, 5)), labels[:30]) == pytest.approx(
        math.log(3), abs=1e-3
    )


def test_better_features_have_a_lower_loss() -> None:
    losses = [probe_loss(*sample(0, 90, apart), *sample(1, 60, apart)) for apart in (0.0, 0.5, 2.0)]
    assert losses == sorted(losses, reverse=True)


@pytest.mark.parametrize(
    ("labels", "held", "words"),
    [
        (np.zeros(6), np.zeros(6), "two classes"),
        (np.arange(6) % 2, np.full(6, 2), "every held-out class"),
        (np.arange(5) % 2, np.zeros(6), "shapes"),
    ],
)
def test_nonsense_is_refused(labels: object, held: object, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        probe_loss(np.zeros((6, 2)), labels, np.zeros((6, 2)), held)  # type: ignore[arg-type]
