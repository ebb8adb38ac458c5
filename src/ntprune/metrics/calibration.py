"""Cross-entropy without over- or underconfidence: what is left of it at the best temperature."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from ntprune.errors import SettingsError

_NOTHING = 1e-12  # nats


def calibrated_cross_entropy(logits: ArrayLike, labels: ArrayLike) -> float:
    """Mean cross-entropy at the one temperature for all rows that makes it smallest.

    It says what a classifier knows, however sure it is of it: one that is confidently wrong on some
    images has a cross-entropy far above that of guessing, and this one below. (Temperature scaling;
    Guo et al. 2017.)

    Args:
        logits: N×K.
        labels: N integers from 0 to K - 1.

    Returns:
        Nats, from 0 to log K, which an infinite temperature has; infinite where a logit is not
        finite.

    Raises:
        SettingsError: other shapes, no row, or labels that aren't such integers.
    """
    from scipy.optimize import brentq

    table, marks = np.asarray(logits, dtype=np.float64), np.asarray(labels)
    if table.ndim != 2 or not table.size or marks.shape != table.shape[:1]:
        shapes = (table.shape, marks.shape)
        raise SettingsError(f"calibration needs logits N×K and N labels, got shapes {shapes}")
    guess = math.log(table.shape[1])
    if marks.dtype.kind not in "iu" or marks.min() < 0 or marks.max() >= table.shape[1]:
        raise SettingsError(f"calibration needs labels from 0 to {table.shape[1] - 1}")
    if not np.isfinite(table).all():
        return math.inf
    # Each logit's lead over the label's; the largest of a row is taken out of the exponentials,
    # which would overflow.
    lead = table - table[np.arange(len(marks)), marks][:, None]
    lead /= np.abs(lead).max() or 1.0
    most = lead.max(1, keepdims=True)
    behind = lead - most

    def loss(sharpness: float) -> float:
        return float((sharpness * most[:, 0] + np.log(np.exp(sharpness * behind).sum(1))).mean())

    def slope(sharpness: float) -> float:
        weights = np.exp(sharpness * behind)
        return float(((lead * weights).sum(1) / weights.sum(1)).mean())

    # Convex in the sharpness, so that the slope has one zero at most.
    if slope(0.0) >= 0:
        return guess
    enough = 1.0
    while slope(enough) < 0 and loss(enough) > _NOTHING:
        enough *= 2
    best = brentq(slope, 0.0, enough) if slope(enough) > 0 else enough
    return min(max(loss(best), 0.0), guess)
