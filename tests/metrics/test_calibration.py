"""Cross-entropy at the best temperature: bounds, invariance, and a search over a grid."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax

from ntprune.errors import SettingsError
from ntprune.metrics import calibrated_cross_entropy

DRAW = np.random.default_rng(0)
LABELS = DRAW.integers(0, 5, 200)
# Right more often than not, and unsure.
LOGITS = DRAW.normal(size=(200, 5)) + 1.5 * np.eye(5)[LABELS]


def plain(logits: np.ndarray, labels: np.ndarray) -> float:
    return float(-log_softmax(logits, 1)[np.arange(len(labels)), labels].mean())


def test_it_is_the_best_of_a_grid() -> None:
    grid = min(plain(LOGITS * factor, LABELS) for factor in np.geomspace(0.01, 100, 2000))
    assert calibrated_cross_entropy(LOGITS, LABELS) == pytest.approx(grid, abs=1e-5)


@pytest.mark.parametrize("factor", [1e-6, 0.1, 10.0, 1e6])
def test_how_sure_it_is_makes_no_difference(factor: float) -> None:
    wanted = calibrated_cross_entropy(LOGITS, LABELS)
    moved = LOGITS * factor + DRAW.normal(size=(200, 1))
    assert calibrated_cross_entropy(moved, LABELS) == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("factor", [100.0, 1e4])
def test_a_few_rows_far_out_hide_nothing(factor: float) -> None:
    """Of a thief who is right everywhere; in units of all rows the others are next to nothing."""
    logits = LOGITS + 20 * np.eye(5)[LABELS]
    logits[:10] *= factor
    assert calibrated_cross_entropy(logits, LABELS) == pytest.approx(0, abs=1e-6)


def test_a_few_wrong_ones_far_out_bound_what_is_known() -> None:
    logits = LOGITS.copy()
    logits[np.arange(10), (LABELS[:10] + 1) % 5] += 10
    grid = min(plain(logits * factor, LABELS) for factor in np.geomspace(1e-3, 10, 3000))
    assert calibrated_cross_entropy(logits, LABELS) == pytest.approx(grid, abs=1e-5)


def test_confidently_wrong_on_half_it_is_still_below_guessing() -> None:
    right = np.arange(200) % 2 == 0
    logits = 100 * np.eye(5)[np.where(right, LABELS, (LABELS + 1) % 5)]
    assert plain(logits, LABELS) > 10 * math.log(5)
    assert calibrated_cross_entropy(logits, LABELS) < 0.9 * math.log(5)


def test_what_is_right_everywhere_has_nothing_left() -> None:
    assert calibrated_cross_entropy(np.eye(5)[LABELS], LABELS) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("logits", [np.zeros((200, 5)), -np.eye(5)[LABELS]])
def test_what_says_nothing_or_the_opposite_is_guessing(logits: np.ndarray) -> None:
    assert calibrated_cross_entropy(logits, LABELS) == pytest.approx(math.log(5), abs=1e-3)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_without_finite_logits_there_is_no_end_to_it(value: float) -> None:
    logits = LOGITS.copy()
    logits[3, 2] = value
    assert calibrated_cross_entropy(logits, LABELS) == math.inf


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 6), st.floats(1e-3, 1e3))
def test_it_is_between_nothing_and_guessing_and_never_above_the_plain_one(
    seed: int, classes: int, scale: float
) -> None:
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, classes, 30)
    logits = scale * draw.normal(size=(30, classes))
    found = calibrated_cross_entropy(logits, labels)
    assert 0 <= found <= math.log(classes)
    assert found <= plain(logits, labels) + 1e-9


@pytest.mark.parametrize(
    ("logits", "labels"), [([], []), ([1.0], [0]), ([[1.0, 2.0]], [0, 1]), (np.empty((0, 3)), [])]
)
def test_other_shapes_are_refused(logits: list[object], labels: list[int]) -> None:
    with pytest.raises(SettingsError, match="logits N×K"):
        calibrated_cross_entropy(logits, labels)


@pytest.mark.parametrize("label", [-1, 2, 0.0])
def test_labels_that_are_no_class_are_refused(label: float) -> None:
    with pytest.raises(SettingsError, match="labels from 0 to 1"):
        calibrated_cross_entropy([[1.0, 2.0]], [label])
