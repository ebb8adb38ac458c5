"""The Fisher ratio against loops, and the paper's theorem as an experiment."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ntprune.objectives import fisher_ratio, scaled_fisher_ratio

Ratio = Callable[..., Tensor]


def normalised(features: Tensor) -> list[list[float]]:
    """Each location divided by the norm over its channels, then one long vector an image."""
    rows = []
    for image in features.flatten(2) if features.dim() > 2 else features[:, :, None]:
        channels, places = image.shape
        row = [0.0] * (channels * places)
        for place in range(places):
            norm = math.sqrt(sum(float(image[c, place]) ** 2 for c in range(channels)))
            for c in range(channels):
                row[c * places + place] = float(image[c, place]) / max(norm, 1e-12)
        rows.append(row)
    return rows


def by_loops(features: Tensor, labels: Tensor, eps: float) -> float:
    rows, marks = normalised(features), labels.tolist()
    total, width = len(rows), len(rows[0])
    mean = [sum(row[j] for row in rows) / total for j in range(width)]
    between = within = 0.0
    for label in set(marks):
        members = [row for row, mark in zip(rows, marks, strict=True) if mark == label]
        centre = [sum(row[j] for row in members) / len(members) for j in range(width)]
        distance = sum((centre[j] - mean[j]) ** 2 for j in range(width))
        between += len(members) / total * distance
        for row in members:
            within += sum((row[j] - centre[j]) ** 2 for j in range(width)) / total
    if len(set(marks)) == total:
        return 0.0  # nothing is within any class, and eps would decide
    return between / (within + eps)


def scaled_by_loops(features: Tensor, labels: Tensor, eps: float) -> float:
    rows, marks = normalised(features), labels.tolist()
    width, centres, within = len(rows[0]), [], 0.0
    for label in set(marks):
        members = [row for row, mark in zip(rows, marks, strict=True) if mark == label]
        centre = [sum(row[j] for row in members) / len(members) for j in range(width)]
        squares = [(row[j] - centre[j]) ** 2 for row in members for j in range(width)]
        within += sum(squares) / len(squares)
        centres.append(centre)
    mean = [sum(centre[j] for centre in centres) / len(centres) for j in range(width)]
    between = [(centre[j] - mean[j]) ** 2 for centre in centres for j in range(width)]
    return sum(between) / len(between) / (within + eps)


RATIOS = [(fisher_ratio, by_loops), (scaled_fisher_ratio, scaled_by_loops)]


@pytest.mark.parametrize(("ratio", "loops"), RATIOS)
@settings(max_examples=120, deadline=None)
@given(
    count=st.integers(1, 9),
    channels=st.integers(1, 4),
    places=st.lists(st.integers(1, 3), max_size=3),
    classes=st.integers(1, 12),
    eps=st.sampled_from([1e-6, 1e-2]),
    seed=st.integers(0, 9999),
)
def test_it_equals_the_loops(
    ratio: Ratio,
    loops: Callable[..., float],
    count: int,
    channels: int,
    places: list[int],
    classes: int,
    eps: float,
    seed: int,
) -> None:
    """More classes than images leaves some absent; few images leaves classes of one."""
    draw = torch.Generator().manual_seed(seed)
    features = torch.randn(count, channels, *places, generator=draw, dtype=torch.float64)
    labels = torch.randint(classes, (count,), generator=draw)
    wanted = loops(features, labels, eps)
    found = ratio(features, labels, classes, eps)
    assert found.shape == ()
    assert float(found) == pytest.approx(wanted, rel=1e-6, abs=1e-9)


def test_worked_example() -> None:
    """Unit vectors at 0° and 90° in one class, at 180° in the other."""
    features = torch.tensor([[2.0, 0.0], [0.0, 5.0], [-3.0, 0.0]], dtype=torch.float64)
    # Means (½, ½) and (−1, 0), overall (0, ⅓): S_B = ⅔(¼ + 1/36) + ⅓(1 + 1/9), S_W = ⅔·½.
    wanted = (2 / 3 * (1 / 4 + 1 / 36) + 1 / 3 * (1 + 1 / 9)) / (1 / 3)
    found = fisher_ratio(features, torch.tensor([0, 0, 1]), 2, eps=0.0)
    assert float(found) == pytest.approx(wanted)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 9999))
def test_absent_classes_order_and_scale_do_not_matter(seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    features = torch.randn(12, 5, 2, 2, generator=draw, dtype=torch.float64)
    labels = torch.randint(3, (12,), generator=draw)
    wanted = float(fisher_ratio(features, labels, 3))
    order = torch.randperm(12, generator=draw)
    scale = 0.1 + torch.rand(12, 1, 2, 2, generator=draw, dtype=torch.float64)
    for found in (
        fisher_ratio(features, labels, 50),
        fisher_ratio(features, 7 * labels + 2, 17),
        fisher_ratio(features[order], labels[order], 3),
        fisher_ratio(features * scale, labels, 3),
    ):
        assert float(found) == pytest.approx(wanted, rel=1e-9)


def test_the_authors_scaling_by_hand() -> None:
    """The unit vectors of above: classes count alike, S_W is summed over them."""
    features = torch.tensor([[2.0, 0.0], [0.0, 5.0], [-3.0, 0.0]], dtype=torch.float64)
    # Means (½, ½) and (−1, 0), overall (−¼, ¼): S_B = (9/16 + 1/16)/2, S_W = ¼ + 0.
    found = scaled_fisher_ratio(features, torch.tensor([0, 0, 1]), 2, eps=0.0)
    assert float(found) == pytest.approx(5 / 16 / (1 / 4))


@pytest.mark.parametrize("ratio", [fisher_ratio, scaled_fisher_ratio])
def test_gradients_are_right_and_finite_where_there_is_nothing_to_separate(ratio: Ratio) -> None:
    draw = torch.Generator().manual_seed(0)
    features = torch.randn(7, 3, 2, generator=draw, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([0, 1, 1, 0, 4, 4, 1])
    assert torch.autograd.gradcheck(lambda f: ratio(f, labels, 6, 1e-2), (features,))
    for flat in (torch.zeros(4, 3, 2), torch.ones(4, 3, 2)):
        flat.requires_grad_()
        value = ratio(flat, torch.tensor([0, 1, 0, 1]), 2)
        value.backward()
        assert float(value.detach()) == pytest.approx(0, abs=1e-4)
        assert flat.grad is not None
        assert torch.isfinite(flat.grad).all()


def test_one_class_alone_has_nothing_between() -> None:
    features = torch.randn(8, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    assert float(fisher_ratio(features, torch.full((8,), 3), 5)) == pytest.approx(0, abs=1e-6)


def test_theorem_two_balanced_classes_end_with_one_mean() -> None:
    """Ding et al.: minimising the ratio over the features makes both class means coincide."""
    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(40) % 2
    offset = torch.where(labels[:, None] == 0, 1.0, -1.0)
    features = (torch.randn(40, 6, generator=draw) + offset).requires_grad_()

    def gap() -> float:
        unit = torch.nn.functional.normalize(features.detach(), dim=1)
        return float((unit[labels == 0].mean(0) - unit[labels == 1].mean(0)).norm())

    before = gap()
    assert before > 0.5
    optimiser = torch.optim.Adam([features], lr=0.05)
    for _ in range(300):
        optimiser.zero_grad()
        fisher_ratio(features, labels, 2).backward()
        optimiser.step()
    assert gap() < 0.01 * before
    # The features did not collapse to one point: only what tells the classes apart is gone.
    assert float(torch.nn.functional.normalize(features.detach(), dim=1).var(0).sum()) > 0.1
