"""Whether one figure ranks things as another does, within groups that may be compared."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations, product

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntprune.errors import SettingsError

# So many orders at most are gone through one by one; of more, as many are drawn at random.
_ORDERS = 10_000
_DRAWS = 2_000
_TINY = 1e-12

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


@dataclass(frozen=True)
class Agreement:
    """How far two rankings agree.

    Attributes:
        spearman, kendall: in [-1, 1]; NaN where one side has nothing but ties.
        spearman_p, kendall_p: share of the orders within groups that agree at least as well: the
            probability of such agreement by chance. NaN likewise.
        exact: whether all orders were gone through, rather than drawn at random.
        interval: 95 % of the bootstrap of `kendall`.
        pairs: how many pairs could be compared.
    """

    spearman: float
    kendall: float
    spearman_p: float
    kendall_p: float
    exact: bool
    interval: tuple[float, float]
    pairs: int


def rank_agreement(
    scores: ArrayLike, truth: ArrayLike, groups: Sequence[str], *, seed: int = 0
) -> Agreement:
    """Spearman's and Kendall's rank correlation over the pairs inside groups.

    Only members of one group are compared. Kendall's tau-b counts all such pairs together;
    Spearman's coefficient is the correlation of the ranks within groups, each group's ranks taken
    about their mean. With a single group both are the usual ones. The interval resamples members
    within groups; with a handful of members it is rough.

    Args:
        scores, truth: one finite figure each, in the same order.
        groups: of each.
        seed: of what is drawn at random.

    Raises:
        SettingsError: different lengths, figures that are not finite, or no pair to compare.

    Examples:
        >>> found = rank_agreement([1, 2, 3, 4], [10, 20, 30, 40], ["a"] * 4)
        >>> found.kendall, found.spearman, round(found.kendall_p, 4)
        (1.0, 1.0, 0.0417)
    """
    x, y = np.asarray(scores, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape or len(groups) != len(x):
        raise SettingsError(
            f"rankings need figures of one length, got {x.shape}, {y.shape} and {len(groups)}"
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise SettingsError("rankings need finite figures")
    members = [np.flatnonzero([g == name for g in groups]) for name in dict.fromkeys(groups)]
    names = np.array(groups, dtype=object)
    together = (names[:, None] == names).astype(bool) & ~np.eye(len(x), dtype=bool)
    pairs = int(together.sum()) // 2
    if not pairs:
        raise SettingsError("rankings need a group of at least two")
    ranks = [_ranks(side, members) for side in (x, y)]
    signs = [np.sign(side[:, None] - side) * together for side in (x, y)]
    draw = np.random.default_rng(seed)
    exact, orders = _orders(members, len(x), draw)
    spearman, kendall = _cosine(*ranks), _cosine(*signs)
    beaten = np.zeros(2)
    for order in orders:
        beaten[0] += _cosine(ranks[0][order], ranks[1]) >= spearman - _TINY
        beaten[1] += _cosine(signs[0][np.ix_(order, order)], signs[1]) >= kendall - _TINY
    shares = beaten / len(orders)
    undefined = math.isnan(kendall)
    return Agreement(
        spearman=spearman,
        kendall=kendall,
        spearman_p=math.nan if undefined else float(shares[0]),
        kendall_p=math.nan if undefined else float(shares[1]),
        exact=exact,
        interval=_bootstrap(signs, members, draw),
        pairs=pairs,
    )


def _cosine(a: Floats, b: Floats) -> float:
    """Of two arrays; of signs it is tau-b, of centred ranks Spearman's coefficient."""
    length = math.sqrt(float((a * a).sum()) * float((b * b).sum()))
    return float((a * b).sum()) / length if length else math.nan


def _ranks(values: Floats, members: list[Indices]) -> Floats:
    from scipy.stats import rankdata

    found = np.zeros_like(values)
    for group in members:
        ranks = rankdata(values[group])
        found[group] = ranks - ranks.mean()
    return found


def _orders(
    members: list[Indices], count: int, draw: np.random.Generator
) -> tuple[bool, list[Indices]]:
    """Orders that move nobody to another group: all, or many at random and the one there is."""
    exact = math.prod(math.factorial(len(group)) for group in members) <= _ORDERS
    chosen: Iterable[Sequence[ArrayLike]] = _drawn(members, draw)
    if exact:
        chosen = product(*(permutations(group) for group in members))
    orders = []
    for parts in chosen:
        order = np.arange(count)
        for group, part in zip(members, parts, strict=True):
            order[group] = np.asarray(part)
        orders.append(order)
    return exact, orders


def _drawn(members: list[Indices], draw: np.random.Generator) -> Iterator[list[Indices]]:
    yield members
    for _ in range(_ORDERS - 1):
        yield [draw.permutation(group) for group in members]


def _bootstrap(
    signs: list[Floats], members: list[Indices], draw: np.random.Generator
) -> tuple[float, float]:
    """A member drawn twice counts twice, and is never compared with itself."""
    found = []
    for _ in range(_DRAWS):
        weights = np.zeros(len(signs[0]))
        for group in members:
            drawn, counts = np.unique(draw.choice(group, len(group)), return_counts=True)
            weights[drawn] = counts
        root = np.sqrt(np.outer(weights, weights))
        found.append(_cosine(signs[0] * root, signs[1] * root))
    there = [value for value in found if not math.isnan(value)]
    if not there:
        return math.nan, math.nan
    low, high = np.quantile(there, (0.025, 0.975))
    return float(low), float(high)
