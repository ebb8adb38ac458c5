"""Which weights are zero: masks, projections, schedules and ADMM. Tensors only."""

from ntprune.sparsity.admm import ADMM, Residuals
from ntprune.sparsity.masks import MaskSet
from ntprune.sparsity.projections import (
    GlobalMagnitude,
    LayerMagnitude,
    Projection,
    SoftThreshold,
    random_masks,
)
from ntprune.sparsity.schedule import cubic

__all__ = [
    "ADMM",
    "GlobalMagnitude",
    "LayerMagnitude",
    "MaskSet",
    "Projection",
    "Residuals",
    "SoftThreshold",
    "cubic",
    "random_masks",
]
