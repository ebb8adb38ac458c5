"""The authors' ADMM against autograd, by hand, and, with its deviations taken back, the lasso."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ntprune.sparsity import ShrinkingADMM, SoftThreshold


def made(seed: int = 0, **options: object) -> tuple[list[Tensor], ShrinkingADMM]:
    """Three tensors, the last of which is where Z − U is already."""
    draw = torch.Generator().manual_seed(seed)
    shapes = [(4, 3), (7,), (2, 2)]
    weights = [torch.randn(s, generator=draw, dtype=torch.float64) for s in shapes]
    admm = ShrinkingADMM(weights, tau=0.03, rho=0.3, **options)
    admm.z[:2] = [torch.randn(s, generator=draw, dtype=torch.float64) for s in shapes[:2]]
    admm.u[:2] = [torch.randn(s, generator=draw, dtype=torch.float64) for s in shapes[:2]]
    return [w.requires_grad_() for w in weights], admm


@pytest.mark.parametrize("squared", [False, True])
def test_pull_is_the_gradient_of_the_penalty(squared: bool) -> None:
    weights, admm = made(squared=squared)
    sum(w.sin().sum() for w in weights).backward()
    admm.pull()
    gaps = [w - z + u for w, z, u in zip(weights, admm.z, admm.u, strict=True)]
    penalty = 0.3 / 2 * sum(g.norm() ** 2 if squared else g.norm() for g in gaps)
    assert float(admm.penalty()) == pytest.approx(float(penalty.detach()))
    wanted = torch.autograd.grad(sum(w.sin().sum() for w in weights) + penalty, weights)
    for weight, gradient in zip(weights, wanted, strict=True):
        torch.testing.assert_close(weight.grad, gradient)


def test_the_unsquared_pull_in_closed_form() -> None:
    """ρ/2·(W − Z + U)/‖W − Z + U‖: as strong from afar as from nearby, and nothing at the goal."""
    weights, admm = made()
    admm.pull()
    for weight, z, u in list(zip(weights, admm.z, admm.u, strict=True))[:2]:
        gap = (weight - z + u).detach()
        torch.testing.assert_close(weight.grad, 0.3 / 2 * gap / gap.norm())
        assert float(weight.grad.norm()) == pytest.approx(0.15)
    assert weights[2].grad.abs().sum() == 0


def test_update_by_hand() -> None:
    weight = torch.tensor([0.5, -0.04, 0.3, -0.11])
    admm = ShrinkingADMM([weight], tau=0.01, rho=0.1)  # threshold 0.1
    admm.update()
    torch.testing.assert_close(admm.z[0], torch.tensor([0.4, 0.0, 0.2, -0.01]))
    torch.testing.assert_close(admm.u[0], torch.tensor([0.1, -0.04, 0.1, -0.1]))
    assert admm.support[0].tolist() == [1, 0, 1, 1]
    assert weight.tolist() == pytest.approx([0.5, -0.04, 0.3, -0.11])  # not applied
    admm.hold()
    assert weight.tolist() == pytest.approx([0.5, 0.0, 0.3, -0.11])
    weight.copy_(torch.tensor([0.5, 0.0, -0.15, -0.11]))
    admm.update()
    # What was lost keeps its U; −0.15 + 0.1 lies within the threshold.
    torch.testing.assert_close(admm.u[0], torch.tensor([0.1, -0.04, -0.05, -0.1]))
    assert admm.support[0].tolist() == [1, 0, 0, 1]


@pytest.mark.parametrize("seed", range(5))
def test_the_support_only_shrinks_and_the_dual_is_bounded(seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    weights = [torch.randn(30, generator=draw), torch.randn(5, 4, generator=draw)]
    admm = ShrinkingADMM(weights, tau=0.05, rho=0.1)
    before = admm.support
    for _ in range(10):
        for weight in weights:
            weight += 0.3 * torch.randn(weight.shape, generator=draw)
        admm.hold()
        admm.update()
        for old, new, z, u in zip(before, admm.support, admm.z, admm.u, strict=True):
            assert bool((new <= old).all())
            assert torch.equal(new.bool(), z != 0)
            assert float(u.abs().max()) <= 0.5 + 1e-6
        before = admm.support
    assert 0 < sum(float(s.sum()) for s in before) < 50


def test_what_returns_was_never_held() -> None:
    weight = torch.tensor([1.0, 0.05])
    admm = ShrinkingADMM([weight], tau=0.1, rho=1.0, returning=True)
    admm.update()
    assert admm.masks()[0].tolist() == [True, False]
    admm.hold()
    assert weight.tolist() == pytest.approx([1.0, 0.05])
    admm.update()
    admm.update()  # 0.05 + 0.1 exceeds the threshold: the dual has lifted it
    assert admm.masks()[0].tolist() == [True, True]


def test_forgetting_clears_the_dual_of_what_is_gone() -> None:
    weight = torch.tensor([1.0, 0.05, -0.02])
    admm = ShrinkingADMM([weight], tau=0.1, rho=1.0, forget=True)
    admm.update()
    assert admm.u[0].tolist() == pytest.approx([0.1, 0.0, 0.0])


@pytest.mark.parametrize("adapt", [1.0, 2.0])
@pytest.mark.parametrize("rho", [0.3, 1.0, 30.0])
def test_without_its_deviations_it_solves_the_lasso(rho: float, adapt: float) -> None:
    """min ½‖W − T‖² + τ‖W‖₁ = S_τ(T), whatever ρ: then τ sets the sparsity, not ρ."""
    target = torch.randn(40, generator=torch.Generator().manual_seed(0))
    weight = target.clone().requires_grad_()
    admm = ShrinkingADMM([weight], tau=0.6, rho=rho, squared=True, returning=True, adapt=adapt)
    for _ in range(300):
        for _ in range(3):
            weight.grad = weight.detach() - target
            admm.pull()
            with torch.no_grad():
                weight -= weight.grad / (1 + admm.rho)
        admm.update()
    torch.testing.assert_close(admm.z[0], SoftThreshold(0.6)([target], 0.0)[0], atol=1e-3, rtol=0)
    assert admm.projection.threshold == pytest.approx(0.6 / admm.rho)
