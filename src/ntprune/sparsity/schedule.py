"""How sparsity grows."""

from __future__ import annotations


def cubic(step: int, steps: int, final: float, start: float = 0.0) -> float:
    """`final + (start - final) * (1 - step/steps)**3` (Zhu and Gupta 2017), exact at both ends.

    >>> cubic(0, 10, 0.9), cubic(10, 10, 0.9)
    (0.0, 0.9)
    >>> round(cubic(5, 10, 0.8), 3)
    0.7
    """
    if step >= steps:
        return final
    return final + (start - final) * (1 - max(0, step) / steps) ** 3
