"""What a defender minimises: pure functions of tensors."""

from ntprune.objectives.clamped import clamped_cross_entropy
from ntprune.objectives.distillation import distilled_cross_entropy
from ntprune.objectives.fisher import fisher_ratio, scaled_fisher_ratio

__all__ = [
    "clamped_cross_entropy",
    "distilled_cross_entropy",
    "fisher_ratio",
    "scaled_fisher_ratio",
]
