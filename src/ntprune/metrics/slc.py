"""Sample-wise learning curves and the area between two of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntprune.errors import SettingsError


def slc_auc(
    budgets: Sequence[int],
    attacked: ArrayLike,
    scratch: ArrayLike,
    scratch_budgets: Sequence[int] | None = None,
) -> float:
    """Area between the attacked curve and the scratch curve over log10 of the budget.

    The trapezoidal rule on `attacked - scratch` (Ding et al. 2024). Negative: the release is worse
    than nothing. With accuracies in [0, 1], the value lies within ±log10(n_max / n_min).

    Args:
        budgets: target samples at each point, positive and strictly increasing, at least two.
        attacked: accuracy (0 to 1) at each budget.
        scratch: accuracy of training from scratch at the same budgets.
        scratch_budgets: the grid of `scratch`, if it comes from elsewhere; it must be the same.

    Raises:
        SettingsError: grids that differ, are too short, or are not increasing and positive; curves
            of another length or with values outside [0, 1].

    Examples:
        A constant head start of 0.1 over two decades:

        >>> round(slc_auc([10, 100, 1000], [0.5, 0.7, 0.9], [0.4, 0.6, 0.8]), 10)
        0.2

        A head start that shrinks to nothing over one decade is a triangle:

        >>> round(slc_auc([10, 100], [0.6, 0.8], [0.4, 0.8]), 10)
        0.1
    """
    grid = _grid(budgets)
    if scratch_budgets is not None and list(scratch_budgets) != list(budgets):
        raise SettingsError(
            f"the curves have different budgets ({list(budgets)} and {list(scratch_budgets)}): "
            "areas over different grids can't be compared; attack both on the same budgets"
        )
    gap = _curve(attacked, grid, "attacked") - _curve(scratch, grid, "scratch")
    return float(np.trapezoid(gap, grid))


def mean_gap(
    budgets: Sequence[int],
    attacked: ArrayLike,
    scratch: ArrayLike,
    scratch_budgets: Sequence[int] | None = None,
) -> float:
    """`slc_auc` divided by log10(n_max / n_min): the average accuracy difference.

    Free of grid and base of the logarithm; in [-1, 1].

    Raises:
        SettingsError: as for `slc_auc`.

    Examples:
        >>> round(mean_gap([10, 100, 1000], [0.5, 0.7, 0.9], [0.4, 0.6, 0.8]), 10)
        0.1
    """
    area = slc_auc(budgets, attacked, scratch, scratch_budgets)
    return area / float(np.log10(budgets[-1] / budgets[0]))


def _grid(budgets: Sequence[int]) -> NDArray[np.float64]:
    values = np.asarray(budgets, dtype=np.float64)
    if values.ndim != 1 or len(values) < 2:
        raise SettingsError(f"a learning curve needs at least two budgets, got {list(budgets)}")
    if not (values > 0).all() or not (np.diff(values) > 0).all():
        raise SettingsError(f"budgets must be positive and increasing, got {list(budgets)}")
    return np.log10(values)


def _curve(values: ArrayLike, grid: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    curve = np.asarray(values, dtype=np.float64)
    if curve.shape != grid.shape:
        raise SettingsError(
            f"the {name} curve has shape {curve.shape}, there are {len(grid)} budgets"
        )
    if not ((curve >= 0) & (curve <= 1)).all():
        raise SettingsError(f"the {name} curve has accuracies outside [0, 1]: give shares, not %")
    return curve
