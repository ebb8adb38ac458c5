"""Rank agreement within groups, against scipy and against counting."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr

from ntprune.errors import SettingsError
from ntprune.metrics import rank_agreement

X = [3.0, 1.0, 4.0, 1.5, 9.0, 2.6]
Y = [2.0, 1.0, 8.0, 2.0, 5.0, 3.0]


def test_one_group_is_the_usual_coefficient_ties_included() -> None:
    found = rank_agreement(X, Y, ["a"] * 6)
    assert found.kendall == pytest.approx(kendalltau(X, Y).statistic)
    assert found.spearman == pytest.approx(spearmanr(X, Y).statistic)
    assert (found.pairs, found.exact) == (15, True)


def test_the_probability_counts_all_orders() -> None:
    found = rank_agreement(X[:5], Y[:5], ["a"] * 5)
    taus = [kendalltau(order, Y[:5]).statistic for order in permutations(X[:5])]
    rhos = [spearmanr(order, Y[:5]).statistic for order in permutations(X[:5])]
    assert found.kendall_p == pytest.approx(np.mean(np.array(taus) >= found.kendall - 1e-9))
    assert found.spearman_p == pytest.approx(np.mean(np.array(rhos) >= found.spearman - 1e-9))


def test_only_pairs_within_a_group_count() -> None:
    """Two groups that agree within and disagree between."""
    scores, truth = [1, 2, 3, 11, 12, 13], [21, 22, 23, 1, 2, 3]
    apart = rank_agreement(scores, truth, ["a"] * 3 + ["b"] * 3)
    assert (apart.kendall, apart.spearman, apart.pairs) == (1.0, 1.0, 6)
    assert apart.kendall_p == pytest.approx(1 / 36)
    assert rank_agreement(scores, truth, ["a"] * 6).kendall < 0
    alone = rank_agreement([*scores, 5], [*truth, -5], ["a"] * 3 + ["b"] * 3 + ["c"])
    assert (alone.kendall, alone.pairs) == (1.0, 6)


def test_many_orders_are_drawn() -> None:
    draw = np.random.default_rng(0)
    truth = draw.normal(size=12)
    related = rank_agreement(truth + 0.1 * draw.normal(size=12), truth, ["a"] * 12)
    assert not related.exact
    assert related.kendall_p < 0.001
    assert 0.5 < related.interval[0] < related.kendall <= related.interval[1] <= 1
    unrelated = rank_agreement(draw.normal(size=12), truth, ["a"] * 12)
    assert unrelated.kendall_p > 0.02
    assert unrelated.interval[1] - unrelated.interval[0] > 0.3
    again = rank_agreement(truth, truth, ["a"] * 12, seed=1)
    assert again == rank_agreement(truth, truth, ["a"] * 12, seed=1)


def test_nothing_but_ties_has_no_rank() -> None:
    found = rank_agreement([1, 1, 1], [1, 2, 3], ["a"] * 3)
    assert math.isnan(found.kendall)
    assert math.isnan(found.spearman_p)
    assert math.isnan(found.interval[0])


@pytest.mark.parametrize(
    ("scores", "groups", "words"),
    [
        ([1.0, 2.0], ["a"] * 3, "one length"),
        ([1.0, math.nan, 2.0], ["a"] * 3, "finite"),
        ([1.0, 2.0, 3.0], ["a", "b", "c"], "at least two"),
        ([], [], "at least two"),
    ],
)
def test_nonsense_is_refused(scores: list[float], groups: list[str], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        rank_agreement(scores, [1.0, 2.0, 3.0][: len(scores)], groups)
