"""Euclidean projections onto sets of sparse weights, all behind one interface."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from ntprune.errors import LayerCollapseError, SettingsError


def check_sparsity(sparsity: float) -> None:
    """Raises `SettingsError` unless 0 ≤ sparsity < 1."""
    if not 0 <= sparsity < 1:
        raise SettingsError(
            f"sparsity {sparsity:g} is outside [0, 1): it is the share of zeros, for instance 0.95"
        )


class Projection(ABC):
    """Maps weights to the nearest point of a set of sparse weights."""

    def __call__(self, weights: Sequence[Tensor], sparsity: float) -> list[Tensor]:
        """The projected weights; for hard projections kept entries are unchanged.

        Args:
            weights: float tensors of any shape.
            sparsity: share of all entries that become zero, in [0, 1).

        Raises:
            SettingsError: sparsity outside [0, 1).
            LayerCollapseError: a layer would lose all its weights.
        """
        check_sparsity(sparsity)
        return [
            torch.where(mask, w, torch.zeros_like(w))
            for w, mask in zip(weights, self.masks(weights, sparsity), strict=True)
        ]

    @abstractmethod
    def masks(self, weights: Sequence[Tensor], sparsity: float) -> list[Tensor]:
        """Bool masks (True keeps) of the projected weights, one for each tensor."""


class GlobalMagnitude(Projection):
    """Keeps the largest magnitudes over all layers, but in each layer at least a small share.

    The number of zeros is exactly `round(sparsity * total)`. Ties go to the earlier entry.

    Args:
        ceiling: highest sparsity of any single layer, in (0, 1). Every layer keeps at least
            `max(1, (1 - ceiling) * n)` of its `n` weights.
    """

    def __init__(self, ceiling: float = 0.998) -> None:
        if not 0 < ceiling < 1:
            raise SettingsError(f"ceiling {ceiling:g} is outside (0, 1)")
        self.ceiling = ceiling

    def masks(self, weights: Sequence[Tensor], sparsity: float) -> list[Tensor]:
        check_sparsity(sparsity)
        sizes = [w.numel() for w in weights]
        total = sum(sizes)
        keep = total - round(sparsity * total)
        floors = [max(1, math.ceil((1 - self.ceiling) * n - 1e-9)) for n in sizes]
        if keep < sum(floors):
            raise LayerCollapseError(
                f"sparsity {sparsity:g} leaves {keep} of {total} weights, fewer than the "
                f"{sum(floors)} that keep every layer alive: use at most "
                f"{math.floor((1 - sum(floors) / total) * 1e4) / 1e4:g}"
            )
        scores = [w.detach().abs().flatten() for w in weights]
        for score, floor in zip(scores, floors, strict=True):
            # Ranked above everything else, a layer's best weights are always kept.
            score[_largest(score, floor)] = torch.inf
        mask = _largest(torch.cat(scores), keep)
        return [m.view_as(w) for m, w in zip(mask.split(sizes), weights, strict=True)]


class LayerMagnitude(Projection):
    """Keeps the largest magnitudes of each layer; every layer gets the same sparsity."""

    def masks(self, weights: Sequence[Tensor], sparsity: float) -> list[Tensor]:
        check_sparsity(sparsity)
        masks = []
        for weight in weights:
            keep = weight.numel() - round(sparsity * weight.numel())
            if keep < 1:
                raise LayerCollapseError(
                    f"sparsity {sparsity:g} empties a layer of {weight.numel()} weights: use at "
                    f"most {math.floor(1e4 * (1 - 1 / weight.numel())) / 1e4:g} or a global "
                    "projection"
                )
            masks.append(_largest(weight.detach().abs().flatten(), keep).view_as(weight))
        return masks


def _largest(scores: Tensor, count: int) -> Tensor:
    """Bool mask of the `count` largest of N `scores`; of equal ones the earlier are taken."""
    # To sort the 24 million weights of a ResNet50 takes seven times as long as to part them here.
    least = _kth(scores, len(scores) - count + 1)
    mask = scores > least
    equal = (scores == least).nonzero().flatten()
    mask[equal[: count - int(mask.sum())]] = True
    return mask


def _kth(values: Tensor, k: int) -> Tensor:
    """The `k`-th smallest, counted from 1; on the CPU where Apple's devices can't, before 2.9."""
    there = values.cpu() if values.device.type == "mps" else values
    return there.kthvalue(k).values.to(values.device)


class SoftThreshold(Projection):
    """Shrinks every entry towards zero: the proximal map of the L1 norm.

    Args:
        threshold: by which entries shrink, ≥ 0; whatever sparsity is asked for, what lies below it
            becomes zero and nothing else. Without one it is the magnitude below which a share
            `sparsity` of all entries lies.
    """

    def __init__(self, threshold: float | None = None) -> None:
        if threshold is not None and not threshold >= 0:
            raise SettingsError(f"threshold {threshold:g} is negative or not a number")
        self.threshold = threshold

    def __call__(self, weights: Sequence[Tensor], sparsity: float) -> list[Tensor]:
        """`sign(w) * max(|w| - threshold, 0)` for each tensor."""
        threshold = self._threshold(weights, sparsity)
        return [torch.sign(w) * (w.abs() - threshold).clamp_min(0) for w in weights]

    def masks(self, weights: Sequence[Tensor], sparsity: float) -> list[Tensor]:
        threshold = self._threshold(weights, sparsity)
        return [w.abs() > threshold for w in weights]

    def _threshold(self, weights: Sequence[Tensor], sparsity: float) -> Tensor:
        check_sparsity(sparsity)
        if self.threshold is not None:
            return weights[0].new_tensor(self.threshold)
        flat = torch.cat([w.detach().abs().flatten() for w in weights])
        cut = round(sparsity * flat.numel())
        if cut == 0:
            return flat.new_zeros(())
        return _kth(flat, cut)


def random_masks(
    weights: Sequence[Tensor], sparsity: float, generator: torch.Generator
) -> list[Tensor]:
    """Masks of exactly `round(sparsity * total)` zeros drawn at random, no layer left empty.

    Raises:
        SettingsError, LayerCollapseError: as for `GlobalMagnitude`.
    """
    noise = [torch.rand(w.shape, generator=generator) for w in weights]
    masks = GlobalMagnitude().masks(noise, sparsity)
    return [mask.to(w.device) for mask, w in zip(masks, weights, strict=True)]
