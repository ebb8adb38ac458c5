"""What the preset can be told; the defaults are the authors'."""

from __future__ import annotations

from pydantic import Field, ValidationInfo, field_validator

from ntprune.methods.settings import ConstrainedSettings


class PaperSettings(ConstrainedSettings):
    """Settings of the preset `paper`. The switches take deviations from the textbook back.

    Attributes:
        sparsity: S; the iterations end when a larger share of what is pruned is masked.
        max_source_drop: percentage points; the authors promise nothing, which 100 is. A smaller
            figure is checked at the end and steers nothing.
        batch: images of each domain a step.
        alpha: weight of the clamped target cross-entropy.
        clamp: ceiling of that cross-entropy in nats.
        fisher: weight λ of the Fisher ratio as the authors scale it.
        lr: learning rate of Adam, in the W-step and for the target head.
        weight_decay: of the same, added to the gradient.
        epochs: E, passes over the shorter domain in a W-step.
        rho: ADMM penalty weight. The threshold of the Z-step is `tau / rho`.
        tau: weight of ‖Z‖₁.
        iterations: at most.
        settle: the stopping rule applies after so many.
        tolerance: a smaller change of the mean loss ends the iterations.
        source_share: share of the owner's images that is used.
        head_epochs: passes of the target head's fit, at most.
        head_patience: passes without a better validation loss that end it.
        squared_penalty: ρ/2·‖W − Z + U‖² in place of the norm of each tensor without its square.
        adapt_rho: residual balancing in place of a ρ that stands still.
        keep_optimiser: Adam's moments live through the iterations instead of starting afresh.
        prune_normalisation: every parameter of the encoder is pruned, the scales and shifts of
            BatchNorm and the biases too. Without it, weights with two or more dimensions alone.
        forget_pruned_dual: U is set to zero where a mask is, instead of standing still there.
        apply_last_mask: the last mask is applied to the weights that are released. The authors'
            are those that the last W-step left, which satisfy the mask before.
        release_z: Z is released, the other half of the splitting, and the last mask with it.
        masks_return: nothing is masked while training, and the support of Z moves freely. Needs one
            of the two above, since nothing else would make a released weight zero.
        refit_target_head: the target head is fitted again before every iteration.
        source_statistics: BatchNorm statistics of the release are estimated anew from the source.
            The authors' are what training on both domains left.
    """

    sparsity: float = Field(default=0.99, ge=0, lt=1)
    max_source_drop: float = Field(default=100.0, ge=0, le=100)
    batch: int = Field(default=256, ge=2)
    alpha: float = Field(default=1.0, ge=0)
    clamp: float = Field(default=10.0, gt=0)
    fisher: float = Field(default=1e3, ge=0)
    lr: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=8e-4, ge=0)
    epochs: int = Field(default=1, ge=1)
    rho: float = Field(default=0.005, gt=0)
    tau: float = Field(default=1e-4, gt=0)
    iterations: int = Field(default=100, ge=1)
    settle: int = Field(default=10, ge=0)
    tolerance: float = Field(default=1e-4, ge=0)
    source_share: float = Field(default=0.1, gt=0, le=1)
    head_epochs: int = Field(default=10, ge=1)
    head_patience: int = Field(default=5, ge=1)
    squared_penalty: bool = False
    adapt_rho: bool = False
    keep_optimiser: bool = False
    prune_normalisation: bool = True
    forget_pruned_dual: bool = False
    apply_last_mask: bool = False
    release_z: bool = False
    masks_return: bool = False
    refit_target_head: bool = False
    source_statistics: bool = False

    @field_validator("masks_return")
    @classmethod
    def _something_must_prune(cls, value: bool, info: ValidationInfo) -> bool:
        if value and not (info.data.get("apply_last_mask") or info.data.get("release_z")):
            raise ValueError(
                "nothing would be zero in the release: set apply_last_mask or release_z as well"
            )
        return value
