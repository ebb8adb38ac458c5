"""ADMM for `minimise f(W) + τ‖Z‖₁ subject to W = Z`, and what the NTP authors made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ntprune.sparsity.admm import ADMM, Residuals
from ntprune.sparsity.projections import SoftThreshold


class ShrinkingADMM(ADMM):
    """ADMM whose Z-step is a soft threshold at τ/ρ, so that sparsity is found and not set.

    As the authors of NTP run it (Ding et al. 2024): the penalty is ρ/2·Σ_p ‖W_p − Z_p + U_p‖₂, the
    norm of each tensor p without its square; what Z loses is lost for good, and the caller holds W
    to that support with `hold`. `squared` and `returning` together give the textbook's lasso (Boyd
    et al. 2011, section 6.4).

    Args:
        weights: the tensors W, changed in place by the caller's optimiser.
        tau: weight of ‖Z‖₁, > 0.
        rho: penalty weight, > 0.
        squared: penalise ρ/2·‖W − Z + U‖² instead.
        returning: whatever Z lost may come back, and W is not held to anything.
        forget: set U to zero where Z is zero. With W held to zero it otherwise stands still there,
            at most τ/ρ a weight, and has its share in the norm that the pull is divided by.
        adapt: as for `ADMM`; 1 leaves ρ alone.

    Attributes:
        support: 1 where W may be non-zero and 0 elsewhere, of the dtype of W.
    """

    def __init__(
        self,
        weights: Sequence[Tensor],
        tau: float,
        rho: float,
        *,
        squared: bool = False,
        returning: bool = False,
        forget: bool = False,
        adapt: float = 1.0,
    ) -> None:
        super().__init__(weights, SoftThreshold(tau / rho), rho, adapt=adapt)
        self.tau = tau
        self.squared = squared
        self.returning = returning
        self.forget = forget
        self.support = [torch.ones_like(w.detach()) for w in self.weights]

    @torch.no_grad()
    def penalty(self) -> Tensor:
        """The value of the penalty, a scalar; `pull` adds its gradient."""
        norms = torch.stack(torch._foreach_norm(self._gap()))
        return self.rho / 2 * (norms.square() if self.squared else norms).sum()

    @torch.no_grad()
    def pull(self) -> None:
        """Add the gradient of the penalty to those of W.

        Without the square every tensor is pulled with strength ρ/2 however far it is from Z; where
        it is there already the gradient is taken as zero.
        """
        if self.squared:
            super().pull()
            return
        gap = self._gap()
        norms = torch._foreach_norm(gap)
        unit = [g / n.where(n > 0, torch.ones_like(n)) for g, n in zip(gap, norms, strict=True)]
        self._add_to_grads(unit, self.rho / 2)

    @torch.no_grad()
    def hold(self) -> None:
        """Set W to zero outside the support."""
        torch._foreach_mul_(self.weights, self.support)

    @torch.no_grad()
    def update(self, sparsity: float = 0.0) -> Residuals:
        """Z ← S_{τ/ρ}(W + U) on the support, U ← U + W − Z, support ← where Z is not zero.

        W is left as it is: call `hold` to apply the new support.

        Args:
            sparsity: not used; the threshold decides.
        """
        residuals = super().update(sparsity)
        kept = [(z != 0).to(z.dtype) for z in self.z]
        if self.forget:
            torch._foreach_mul_(self.u, kept)
        if not self.returning:
            self.support = kept
        return residuals

    def state_dict(self) -> dict[str, Any]:
        """Z, U, ρ and the support; W is the caller's."""
        return super().state_dict() | {"support": self.support}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict` of the same weights."""
        super().load_state_dict(state)
        pairs = zip(self.weights, state["support"], strict=True)
        self.support = [support.to(w.device) for w, support in pairs]
        self._follow_rho()

    def _z_step(self, shifted: Sequence[Tensor], sparsity: float) -> list[Tensor]:
        shrunk = super()._z_step(shifted, sparsity)
        torch._foreach_mul_(shrunk, self.support)
        return shrunk

    def _rescale(self, factor: float) -> None:
        super()._rescale(factor)
        self._follow_rho()

    def _follow_rho(self) -> None:
        self.projection = SoftThreshold(self.tau / self.rho)
