"""Which images a thief draws."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ntprune.audit.subsets import held_out, subset

LABELS = st.lists(st.integers(0, 4), min_size=1, max_size=60).map(torch.tensor)
SEEDS = st.integers(0, 2**31)


@given(LABELS, SEEDS)
def test_nested_without_duplicates(labels: torch.Tensor, seed: int) -> None:
    whole = subset(labels, len(labels), seed)
    assert sorted(whole.tolist()) == list(range(len(labels)))
    for n in range(1, len(labels) + 1):
        assert torch.equal(subset(labels, n, seed), whole[:n])


@given(LABELS, SEEDS, st.data())
def test_balanced_as_far_as_the_pool_allows(
    labels: torch.Tensor, seed: int, data: st.DataObject
) -> None:
    n = data.draw(st.integers(1, len(labels)))
    has = torch.bincount(labels, minlength=5)
    drawn = torch.bincount(labels[subset(labels, n, seed)], minlength=5)
    # Only a class without any image left may be behind by more than one.
    assert all(drawn[k] >= drawn.max() - 1 or drawn[k] == has[k] for k in range(5))


@given(LABELS, SEEDS)
def test_budgets_below_the_classes_hold_different_ones(labels: torch.Tensor, seed: int) -> None:
    classes = len(labels.unique())
    for n in range(1, classes + 1):
        assert len(labels[subset(labels, n, seed)].unique()) == n


def test_fixed_by_the_seed_and_moved_by_it() -> None:
    labels = torch.arange(200) % 4
    assert torch.equal(subset(labels, 40, 3), subset(labels, 40, 3))
    drawn = {tuple(subset(labels, 40, seed).tolist()) for seed in range(5)}
    assert len(drawn) == 5
    first = {int(labels[subset(labels, 1, seed)]) for seed in range(40)}
    assert first == {0, 1, 2, 3}, "the order of classes is drawn anew by every thief"


def test_the_order_of_classes_is_drawn_anew_each_round() -> None:
    labels = torch.arange(400) % 4
    rounds = labels[subset(labels, 400, 0)].view(100, 4)
    assert all(sorted(row) == [0, 1, 2, 3] for row in rounds.tolist())
    assert len({tuple(row) for row in rounds.tolist()}) > 12


def test_frozen() -> None:
    """Other draws would make every published point another point."""
    assert subset(torch.arange(30) % 3, 8, 0).tolist() == [18, 10, 8, 13, 23, 9, 22, 14]


@given(st.integers(2, 10_000), st.floats(0.01, 0.99))
def test_something_is_held_out_and_something_left(n: int, share: float) -> None:
    cut = held_out(n, share)
    assert 1 <= cut <= n - 1
    assert abs(cut - share * n) <= 1


@pytest.mark.parametrize(("n", "cut"), [(2, 1), (3, 1), (8, 2), (100, 20)])
def test_a_fifth(n: int, cut: int) -> None:
    assert held_out(n, 0.2) == cut
