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
from ntprune.sparsity.shrinking import ShrinkingADMM

__all__ = [
    "ADMM",
    "GlobalMagnitude",
    "LayerMagnitude",
    "MaskSet",
    "Projection",
    "Residuals",
    "ShrinkingADMM",
    "SoftThreshold",
    "cubic",
    "random_masks",
]
