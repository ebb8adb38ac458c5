"""LogME: how well a linear model on frozen features is supported by the labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntprune.errors import SettingsError

# Decades of the ratio of both precisions, relative to the largest squared singular value. At either
# end the evidence is flat, or rises for ever because a class is an exact function of the features.
_DECADES = np.linspace(-10, 6, 65)


def logme(features: ArrayLike, labels: ArrayLike) -> float:
    """Logarithm of the maximum evidence of the labels given the features, per sample.

    For each class y is 1 on its samples and 0 on the others, y = Fw + noise, w normal with
    precision α and the noise with precision β; log p(y | F) is maximised over both. The mean over
    the classes is divided by N. (You, Liu, Wang, Long: LogME, ICML 2021. Their fixed-point
    iteration is replaced by a search over α/β, for which the best β is known in closed form.)

    Args:
        features: N×D, finite. Scaling all of them by one factor changes nothing.
        labels: N integers; at least two classes must be present.

    Returns:
        Nats per sample; the larger, the better the features serve a linear classifier.

    Raises:
        SettingsError: other shapes, features that are not finite, or a single class.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> labels = np.arange(100) % 2
        >>> noise = rng.normal(size=(100, 3))
        >>> logme(noise + 3 * labels[:, None], labels) > logme(noise, labels)
        True
    """
    table, marks = np.asarray(features, dtype=np.float64), np.asarray(labels)
    if table.ndim != 2 or marks.shape != table.shape[:1]:
        raise SettingsError(
            f"LogME needs features N×D and N labels, got shapes {table.shape} and {marks.shape}"
        )
    if not np.isfinite(table).all():
        raise SettingsError("LogME needs finite features: some are NaN or infinite")
    present = np.unique(marks)
    if len(present) < 2:
        raise SettingsError(f"LogME needs at least two classes, found {len(present)}")
    left, singular, _ = np.linalg.svd(table, full_matrices=False)
    evidence = [_evidence(left, singular**2, (marks == c).astype(np.float64)) for c in present]
    return float(np.mean(evidence)) / len(marks)


def _evidence(
    left: NDArray[np.float64], squares: NDArray[np.float64], y: NDArray[np.float64]
) -> float:
    """Maximum over α and β of log p(y), F being left · √squares · (any orthogonal matrix)."""
    from scipy.optimize import minimize_scalar

    count, along = len(y), (left.T @ y) ** 2
    across = max(0.0, float(y @ y - along.sum()))
    unit = float(squares.max()) or 1.0

    def negative(decade: float) -> float:
        stretch = 1 + squares / (unit * 10.0**decade)
        # The covariance of y is this matrix divided by β, so β = N / (yᵀ matrix⁻¹ y).
        beta = count / max(float((along / stretch).sum()) + across, 1e-300)
        fit = count * (np.log(beta) - np.log(2 * np.pi) - 1)
        return -0.5 * float(fit - np.log(stretch).sum())

    values = [negative(decade) for decade in _DECADES]
    best = int(np.argmin(values))
    low, high = _DECADES[max(0, best - 1)], _DECADES[min(len(_DECADES) - 1, best + 1)]
    refined = minimize_scalar(negative, bounds=(low, high), method="bounded")
    return -min(values[best], float(refined.fun))
