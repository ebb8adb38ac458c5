"""What `ntp` can be told."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from ntprune.engine import rebased_layers
from ntprune.methods.settings import ConstrainedSettings
from ntprune.models import Model


class NTPSettings(ConstrainedSettings):
    """Settings of `ntp`.

    Attributes:
        support: which weights stay: those that the ADMM rounds end with, or (`magnitude`) the
            largest of the model as given, without any round.
        combine: what counts of several targets: their mean, or the one that a thief gets most from.
        weights: of the targets in their mean, > 0, in their order; equal if empty.
        alpha: weight of the clamped target cross-entropy.
        clamp: ceiling of the clamped cross-entropies, in nats; with more than ten classes higher,
            in proportion to what guessing costs.
        fisher: weight λ of the Fisher ratio of target features.
        thief_alpha: weight of the cross-entropy of simulated thieves, which is what a thief loses.
        rounds: outer ADMM rounds.
        inner: optimiser steps of a W-step.
        finish: outer steps of the masked finish, each a push against a simulated thief and then
            `recover` steps on the source alone. 0 for no finish: the pruned weights are released as
            they are.
        checks: about how many times the drop and a quick thief are measured in the finish; each
            fine-tunes up to four copies for 80 steps, which takes long with a large network.
        push: learning rate of a push relative to that of a source step, at first; the controller
            moves it.
        recover: source steps of an outer step.
        distill: share of a source step's loss that follows the outputs of the model as given
            instead of the labels.
        lookahead: weight of the lookahead gradient, 0 for none.
        depth, every: steps of a simulated thief with a full batch, at most 40, and after which of
            them a gradient is taken; with smaller batches it goes further in proportion, up to 40.
        statistics: which ones of BatchNorm target terms are taken with: each target batch's own
            (`batch`), or the mean over those and the source's (`both`), which the release comes
            with and a thief can train from: with `both` every second simulated thief does.
        scales: whether BatchNorm's scales stay within the range that their layer came with
            (`held`), or a push of the finish may do what it likes to them (`free`).
        refit: steps of the target head before each round and each check of the finish; 0 to fit it
            once, at the start.
        lr: learning rate of AdamW; it falls along a cosine in the finish.
        average: decay of the weight average that is measured and released.
        rho: initial ADMM penalty weight.
        ceiling: highest sparsity of a single layer.
    """

    sparsity: float = Field(default=0.85, ge=0, lt=1)
    support: Literal["admm", "magnitude"] = "admm"
    combine: Literal["mean", "worst"] = "mean"
    weights: tuple[Annotated[float, Field(gt=0)], ...] = ()
    alpha: float = Field(default=0.1, ge=0)
    clamp: float = Field(default=3.0, gt=0)
    fisher: float = Field(default=10.0, ge=0)
    thief_alpha: float = Field(default=1.0, ge=0)
    rounds: int = Field(default=15, ge=1)
    inner: int = Field(default=30, ge=1)
    finish: int = Field(default=1100, ge=0)
    checks: int = Field(default=20, ge=1)
    push: float = Field(default=2.0, gt=0, le=4)
    recover: int = Field(default=4, ge=1)
    distill: float = Field(default=0.7, ge=0, le=1)
    lookahead: float = Field(default=3.0, ge=0)
    depth: int = Field(default=9, ge=1, le=40)
    every: int = Field(default=3, ge=1)
    statistics: Literal["batch", "both"] = "both"
    scales: Literal["held", "free"] = "held"
    refit: int = Field(default=30, ge=0)
    lr: float = Field(default=2e-3, gt=0)
    average: float = Field(default=0.95, ge=0, lt=1)
    rho: float = Field(default=0.1, gt=0)
    ceiling: float = Field(default=0.998, gt=0, lt=1)

    @field_validator("weights")
    @classmethod
    def _of_a_mean(cls, weights: tuple[float, ...], info: ValidationInfo) -> tuple[float, ...]:
        if weights and info.data.get("combine") == "worst":
            raise ValueError("with combine=worst thieves decide: leave the weights out")
        return weights

    def clamp_of(self, classes: int) -> float:
        """`clamp` for a target of so many classes, in nats.

        Whoever guesses among a hundred classes is at 4.6 nats, and below a ceiling of 3 there would
        be nothing left to push.
        """
        return self.clamp * max(1.0, math.log(classes) / math.log(10))


def rebases(settings: NTPSettings, model: Model) -> bool:
    """Whether target terms and thieves have a second set of statistics to be taken under."""
    return settings.statistics == "both" and bool(rebased_layers(model))
