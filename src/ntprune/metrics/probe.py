"""A linear probe: what a classifier on frozen features reaches on samples it was not fitted to."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ntprune.errors import SettingsError


def probe_loss(
    features: ArrayLike, labels: ArrayLike, held_features: ArrayLike, held_labels: ArrayLike
) -> float:
    """Held-out cross-entropy of a logistic regression on frozen features.

    Features are standardised by mean and deviation of those it is fitted to; the weights have an L2
    penalty of ½‖w‖² beside the summed loss. (Alain and Bengio 2017.)

    Args:
        features, labels: to fit on, N×D and N.
        held_features, held_labels: to judge by, M×D and M, of classes that `labels` has.

    Returns:
        Mean cross-entropy in nats, ≥ 0; the smaller, the better the features serve.

    Raises:
        SettingsError: other shapes, a single class, or a held-out class that is not fitted.
    """
    from sklearn.linear_model import LogisticRegression

    table, judged = (np.asarray(f, dtype=np.float64) for f in (features, held_features))
    marks, wanted = np.asarray(labels), np.asarray(held_labels)
    if table.ndim != 2 or marks.shape != table.shape[:1] or wanted.shape != judged.shape[:1]:
        shapes = (table.shape, marks.shape, judged.shape, wanted.shape)
        raise SettingsError(f"a probe needs features N×D and N labels twice, got shapes {shapes}")
    present = np.unique(marks)
    if len(present) < 2 or not np.isin(wanted, present).all():
        raise SettingsError(
            f"a probe needs at least two classes ({len(present)} found), and every held-out class "
            "among those it is fitted to"
        )
    mean, spread = table.mean(0), table.std(0)
    spread[spread == 0] = 1.0
    fitted = LogisticRegression(max_iter=1000).fit((table - mean) / spread, marks)
    logs = fitted.predict_log_proba((judged - mean) / spread)
    return float(-logs[np.arange(len(wanted)), np.searchsorted(present, wanted)].mean())
