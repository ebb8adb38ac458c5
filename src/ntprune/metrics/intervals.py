"""Intervals over seeds, and over the images of one split."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from ntprune.errors import SettingsError


def paired_interval(
    first: ArrayLike, second: ArrayLike, *, confidence: float = 0.95
) -> tuple[float, float]:
    """Student's interval of `mean(first - second)`.

    Args:
        first, second: one value a seed, in the same order, at least two.
        confidence: in (0, 1).

    Returns:
        Lower and upper end.

    Raises:
        SettingsError: fewer than two pairs, or different lengths.

    Examples:
        >>> low, high = paired_interval([0.5, 0.6, 0.7], [0.4, 0.5, 0.6])
        >>> round(low, 10), round(high, 10)
        (0.1, 0.1)
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 1 or len(a) < 2:
        raise SettingsError(
            f"an interval needs at least two pairs, got shapes {a.shape} and {b.shape}"
        )
    return mean_interval(a - b, confidence=confidence)


def mean_interval(values: ArrayLike, *, confidence: float = 0.95) -> tuple[float, float]:
    """Student's interval of the mean of a few values.

    Not a bootstrap, which can't leave the range of the few values it draws from: of three normal
    values its 95 % interval (BCa) holds the mean 73 times in a hundred, of five 85 times.

    Args:
        values: one a run, at least two.
        confidence: in (0, 1).

    Returns:
        Lower and upper end.

    Raises:
        SettingsError: fewer than two values.

    Examples:
        >>> low, high = mean_interval([1.0, 2.0, 3.0])
        >>> round(low, 3), round(high, 3)
        (-0.484, 4.484)
    """
    from scipy.stats import t

    each = np.asarray(values, dtype=np.float64)
    if each.ndim != 1 or len(each) < 2:
        raise SettingsError(f"an interval needs at least two values, got shape {each.shape}")
    reach = t.ppf((1 + confidence) / 2, len(each) - 1) * each.std(ddof=1) / np.sqrt(len(each))
    return float(each.mean() - reach), float(each.mean() + reach)


def paired_share_interval(
    first: ArrayLike, second: ArrayLike, *, confidence: float = 0.95
) -> tuple[float, float]:
    """Interval of the difference of two shares that were counted on the same images.

    Those differences that a score test doesn't refuse (Tango 1998). Only images on which the two
    differ widen it, but where they agree on every image it still has a width. Of 95 %, the end that
    is further from zero is too near in at most 2.5 of 100 cases and the other in up to 4, with 90
    images and rare differences, too (simulated).

    Args:
        first, second: what was counted (for instance: right) of each image, bool, N and N.
        confidence: in (0, 1).

    Returns:
        Lower and upper end of the share of `first` minus that of `second`, in [-1, 1].

    Raises:
        SettingsError: no image, or different lengths.

    Examples:
        >>> low, high = paired_share_interval([True] * 100, [True] * 98 + [False] * 2)
        >>> round(low, 3), round(high, 3)
        (-0.018, 0.07)
    """
    from scipy.optimize import brentq
    from scipy.stats import norm

    a, b = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    if a.shape != b.shape or a.ndim != 1 or not len(a):
        raise SettingsError(
            f"shares are compared image by image, got shapes {a.shape} and {b.shape}"
        )
    count = len(a)
    lost, won = int((a & ~b).sum()), int((b & ~a).sum())
    bound = float(norm.ppf((1 + confidence) / 2))

    def excess(difference: float) -> float:
        """How far the counts lie above `difference`, in standard errors where it is the truth."""
        # The likeliest share of images that only `second` has, given the difference.
        linear = (2 * count - lost + won) * difference - lost - won
        constant = -won * difference * (1 - difference)
        share = (math.sqrt(max(0.0, linear**2 - 8 * count * constant)) - linear) / (4 * count)
        variance = count * (2 * share + difference * (1 - difference))
        distance = count * (middle - difference)
        if distance == 0:
            return 0.0
        # Without variance any distance is too far.
        return (
            distance / math.sqrt(variance) if variance > 0 else math.copysign(9 * bound, distance)
        )

    middle = (lost - won) / count
    low = -1.0 if middle == -1 else brentq(lambda d: excess(d) - bound, -1 + 1e-12, middle)
    high = 1.0 if middle == 1 else brentq(lambda d: excess(d) + bound, middle, 1 - 1e-12)
    return float(low), float(high)
