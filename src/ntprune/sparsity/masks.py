"""A set of masks beside a module. The parameters stay plain `nn.Parameter`s."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ntprune.errors import ModelMismatchError


class MaskSet(Mapping[str, Tensor]):
    """Boolean masks keyed by parameter name; True keeps a weight, False holds it at zero.

    A mask set is not part of the module, so copying, pickling, moving or saving the module needs no
    care; the same holds for the mask set itself. Masks follow a parameter to its device when they
    are applied.

    Args:
        masks: name to bool tensor of the parameter's shape.
    """

    def __init__(self, masks: Mapping[str, Tensor]) -> None:
        self._masks = {name: mask.detach().to(torch.bool) for name, mask in masks.items()}

    @classmethod
    def from_zeros(cls, parameters: Mapping[str, Tensor]) -> MaskSet:
        """The masks that existing exact zeros amount to."""
        return cls({name: p.detach() != 0 for name, p in parameters.items()})

    @classmethod
    def keep_all(cls, parameters: Mapping[str, Tensor]) -> MaskSet:
        """Masks that leave everything as it is."""
        return cls({name: torch.ones_like(p, dtype=torch.bool) for name, p in parameters.items()})

    def __getitem__(self, name: str) -> Tensor:
        return self._masks[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._masks)

    def __len__(self) -> int:
        return len(self._masks)

    def only(self, names: Iterable[str]) -> MaskSet:
        """The masks of `names`, in their order.

        Raises:
            KeyError: a name has no mask.
        """
        return MaskSet({name: self[name] for name in names})

    def to(self, device: torch.device | str) -> MaskSet:
        """The same masks on `device`."""
        return MaskSet({name: mask.to(device) for name, mask in self.items()})

    @property
    def zeros(self) -> int:
        """Masked weights."""
        return sum(int((~mask).sum()) for mask in self.values())

    @property
    def total(self) -> int:
        """All weights the masks speak about."""
        return sum(mask.numel() for mask in self.values())

    @property
    def sparsity(self) -> float:
        """Masked share, 0 to 1."""
        return self.zeros / self.total if self.total else 0.0

    def per_layer(self) -> dict[str, float]:
        """Masked share of each parameter."""
        return {name: float((~mask).float().mean()) for name, mask in self.items()}

    @torch.no_grad()
    def apply_(self, module: nn.Module) -> None:
        """Set masked weights of `module` to exactly zero.

        Raises:
            ModelMismatchError: a mask has no parameter of its name and shape.
        """
        weights, masks = self._pairs(module)
        torch._foreach_mul_(weights, masks)

    def attach(self, module: nn.Module, optimiser: torch.optim.Optimizer) -> Callable[[], None]:
        """Keep masked weights at zero through every step of `optimiser`.

        Momentum and weight decay revive weights whose gradient alone is masked, so weights and
        moments are both multiplied by the mask after each step.

        Returns:
            A function that detaches the masks again.
        """
        weights, masks = self._pairs(module)
        with torch.no_grad():
            torch._foreach_mul_(weights, masks)

        @torch.no_grad()
        def enforce(opt: torch.optim.Optimizer, *_: Any) -> None:
            torch._foreach_mul_(weights, masks)
            moments, their_masks = [], []
            for weight, mask in zip(weights, masks, strict=True):
                for value in opt.state.get(weight, {}).values():
                    if isinstance(value, Tensor) and value.shape == weight.shape:
                        moments.append(value)
                        their_masks.append(mask)
            if moments:
                torch._foreach_mul_(moments, their_masks)

        return optimiser.register_step_post_hook(enforce).remove

    def holds(self, module: nn.Module) -> bool:
        """Whether every masked weight of `module` is exactly zero.

        Raises:
            ModelMismatchError: a mask has no parameter of its name and shape.
        """
        pairs = zip(*self._pairs(module), strict=True)
        return all(bool((weight[mask == 0] == 0).all()) for weight, mask in pairs)

    def _pairs(self, module: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
        found = dict(module.named_parameters())
        weights: list[Tensor] = []
        masks: list[Tensor] = []
        for name, mask in self.items():
            weight = found.get(name)
            if weight is None or weight.shape != mask.shape:
                seen = "none" if weight is None else "×".join(map(str, weight.shape))
                raise ModelMismatchError(
                    f"the mask '{name}' ({'×'.join(map(str, mask.shape))}) fits no parameter of "
                    f"the model (found {seen}): these masks belong to another architecture"
                )
            weights.append(weight)
            # The weight's dtype and memory layout make the product one fused kernel.
            masks.append(torch.empty_like(weight.detach()).copy_(mask))
        return weights, masks
