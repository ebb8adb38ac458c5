"""What methods can be told: bases of their settings."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Settings(BaseModel):
    """Base of what a method can be told; by itself, nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class PruningSettings(Settings):
    """Settings of a method that prunes.

    Attributes:
        sparsity: share of prunable weights that become exactly zero.
        batch: images of each domain a step.
    """

    sparsity: float = Field(default=0.0, ge=0, lt=1)
    batch: int = Field(default=128, ge=2)


class ConstrainedSettings(PruningSettings):
    """Settings of a method that promises to keep the source's accuracy.

    Attributes:
        max_source_drop: percentage points of source validation accuracy that may be lost.
    """

    max_source_drop: float = Field(default=1.0, ge=0, le=100)
