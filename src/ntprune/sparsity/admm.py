"""ADMM for `minimise f(W) subject to W in a sparse set` (Boyd et al. 2011, section 9.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ntprune.sparsity.projections import Projection


@dataclass(frozen=True)
class Residuals:
    """How far ADMM is from agreement.

    Attributes:
        primal: ‖W − Z‖ / max(‖W‖, ‖Z‖).
        dual: ρ‖Z − Z_previous‖ / (ρ‖U‖), the change of Z relative to the scaled dual.
        rho: the penalty weight that was in force.
    """

    primal: float
    dual: float
    rho: float


class ADMM:
    """The splitting W = Z with scaled dual U.

    The W-step is the caller's: any optimiser on `f`, with `pull` adding the gradient of
    ρ/2·‖W − Z + U‖² before each of its steps. `update` then does the Z-step, the U-step and the
    adaptation of ρ (residual balancing, Boyd et al. 2011, section 3.4.1).

    Args:
        weights: the tensors W, changed in place by the caller's optimiser.
        projection: onto the sparse set.
        rho: initial penalty weight, > 0.
        adapt: factor by which ρ moves when one residual is `balance` times the other; 1 for never.
    """

    SETTLED = 1e-5

    def __init__(
        self,
        weights: Sequence[Tensor],
        projection: Projection,
        rho: float,
        adapt: float = 2.0,
        balance: float = 10.0,
    ) -> None:
        self.weights = list(weights)
        self.projection = projection
        self.rho = self.initial_rho = rho
        self.adapt = adapt
        self.balance = balance
        self.z = [w.detach().clone() for w in self.weights]
        self.u = [torch.zeros_like(w) for w in self.weights]

    @torch.no_grad()
    def pull(self) -> None:
        """Add ρ(W − Z + U) to the gradients of W.

        The closed form costs one pass over the weights; through autograd it would cost several.
        """
        self._add_to_grads(self._gap(), self.rho)

    @torch.no_grad()
    def update(self, sparsity: float) -> Residuals:
        """Z ← projection(W + U), U ← U + W − Z, then adapt ρ.

        Args:
            sparsity: of Z, in [0, 1).

        Returns:
            The residuals before ρ was adapted.
        """
        previous = self.z
        self.z = self._z_step(torch._foreach_add(self.weights, self.u), sparsity)
        gap = torch._foreach_sub(self.weights, self.z)
        torch._foreach_add_(self.u, gap)
        tiny = 1e-12
        primal = _norm(gap) / max(_norm(self.weights), _norm(self.z), tiny)
        dual = _norm(torch._foreach_sub(self.z, previous)) / max(_norm(self.u), tiny)
        residuals = Residuals(primal, dual, self.rho)
        if max(primal, dual) < self.SETTLED:
            return residuals  # what is left is rounding, whose ratio would drive ρ without end
        if primal > self.balance * dual:
            self._rescale(self.adapt)
        elif dual > self.balance * primal:
            self._rescale(1 / self.adapt)
        return residuals

    def masks(self) -> list[Tensor]:
        """The support of Z (bool, True keeps)."""
        return [z != 0 for z in self.z]

    def state_dict(self) -> dict[str, Any]:
        """Z, U and ρ; W is the caller's."""
        return {"z": self.z, "u": self.u, "rho": self.rho}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict` of the same weights."""
        pairs = (zip(self.weights, state[name], strict=True) for name in ("z", "u"))
        self.z, self.u = ([value.to(w.device) for w, value in each] for each in pairs)
        self.rho = state["rho"]

    def _z_step(self, shifted: Sequence[Tensor], sparsity: float) -> list[Tensor]:
        return self.projection(shifted, sparsity)

    def _gap(self) -> list[Tensor]:
        """W − Z + U."""
        gap = torch._foreach_sub(self.weights, self.z)
        torch._foreach_add_(gap, self.u)
        return list(gap)

    def _add_to_grads(self, pulls: list[Tensor], factor: float) -> None:
        # A weight the loss did not reach is pulled all the same.
        grads = [w.grad if w.grad is not None else torch.zeros_like(w) for w in self.weights]
        torch._foreach_add_(grads, pulls, alpha=factor)
        for weight, grad in zip(self.weights, grads, strict=True):
            weight.grad = grad

    def _rescale(self, factor: float) -> None:
        # Far below where it began, ρ is below the curvature of the objective, and ADMM cycles.
        if self.rho * factor < 0.1 * self.initial_rho:
            return
        self.rho *= factor
        # U is the dual divided by ρ, so it shrinks as ρ grows.
        torch._foreach_mul_(self.u, 1 / factor)


def _norm(tensors: Sequence[Tensor]) -> float:
    return float(torch.stack(torch._foreach_norm(list(tensors))).norm())
