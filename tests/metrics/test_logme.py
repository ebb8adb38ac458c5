"""LogME against the density of the labels written out and maximised by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from ntprune.errors import SettingsError
from ntprune.metrics import logme

Floats = NDArray[np.float64]


def sample(seed: int, count: int, width: int, classes: int, apart: float) -> tuple[Floats, Floats]:
    draw = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    centres = apart * draw.normal(size=(classes, width))
    return centres[labels] + draw.normal(size=(count, width)), labels


def slowly(features: Floats, labels: Floats) -> float:
    """Every density with its N×N covariance, maximised over both precisions from many starts."""
    found = []
    for label in sorted(set(labels.tolist())):
        y = (labels == label).astype(float)

        def negative(logs: Floats, y: Floats = y) -> float:
            alpha, beta = np.exp(np.clip(logs, -25, 25))
            cover = np.eye(len(y)) / beta + features @ features.T / alpha
            return -float(multivariate_normal.logpdf(y, np.zeros(len(y)), cover))

        starts = itertools.product((-3.0, 2.0, 7.0), (0.0, 3.0))
        ends = [minimize(negative, start, method="Nelder-Mead").fun for start in starts]
        found.append(-min(ends) / len(y))
    return float(np.mean(found))


@pytest.mark.parametrize(
    ("count", "width", "classes", "apart"),
    [(24, 4, 2, 1.0), (30, 3, 3, 0.3), (18, 25, 3, 1.0), (26, 5, 2, 0.0)],
    ids=["separate", "overlapping", "wide", "useless"],
)
def test_it_is_the_maximum_of_the_evidence(
    count: int, width: int, classes: int, apart: float
) -> None:
    features, labels = sample(0, count, width, classes, apart)
    assert logme(features, labels) == pytest.approx(slowly(features, labels), abs=1e-4)


def test_useless_features_leave_the_evidence_of_noise_alone() -> None:
    """y of mean square p has then at most -½(log 2πp + 1)."""
    labels = np.arange(40) % 4
    wanted = -0.5 * (math.log(2 * math.pi / 4) + 1)
    assert logme(np.zeros((40, 6)), labels) == pytest.approx(wanted)


def test_what_separates_more_has_more() -> None:
    scores = [logme(*sample(1, 120, 8, 4, apart)) for apart in (0.0, 0.3, 1.0, 3.0)]
    assert scores == sorted(scores)


def test_scale_order_and_names_do_not_matter() -> None:
    features, labels = sample(2, 60, 5, 3, 0.7)
    found = logme(features, labels)
    assert logme(1e-4 * features, labels) == pytest.approx(found, rel=1e-6)
    order = np.random.default_rng(0).permutation(60)
    assert logme(features[order], labels[order]) == pytest.approx(found)
    assert logme(features, 7 + 10 * labels) == pytest.approx(found)
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(5, 5)))[0]
    assert logme(features @ turn, labels) == pytest.approx(found)


def test_labels_that_are_a_function_of_the_features_have_a_finite_score() -> None:
    labels = np.arange(30) % 3
    assert 0 < logme(np.eye(3)[labels], labels) < 100


@pytest.mark.parametrize(
    ("features", "labels", "words"),
    [
        (np.zeros((4, 2)), np.zeros(3), "shapes"),
        (np.zeros(4), np.zeros(4), "shapes"),
        (np.full((4, 2), np.nan), np.arange(4), "finite"),
        (np.zeros((4, 2)), np.zeros(4), "two classes"),
    ],
)
def test_nonsense_is_refused(features: Floats, labels: Floats, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        logme(features, labels)
