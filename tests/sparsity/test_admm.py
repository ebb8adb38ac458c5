"""ADMM on problems whose sparse solution is known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ntprune.sparsity import ADMM, GlobalMagnitude, Residuals


def solve(
    admm: ADMM, loss, weights: list[Tensor], sparsity: float, rounds: int, lr: float
) -> list[Residuals]:
    seen = []
    for _ in range(rounds):
        for _ in range(60):
            for weight in weights:
                weight.grad = None
            loss().backward()
            admm.pull()
            with torch.no_grad():
                for weight in weights:
                    weight -= lr / (1 + lr * admm.rho) * weight.grad
        seen.append(admm.update(sparsity))
    return seen


@pytest.mark.parametrize("rho", [5.0, 50.0, 500.0])
def test_quadratic_with_a_known_sparse_solution(rho: float) -> None:
    """min ½‖W − T‖² with k non-zeros from W = T: the k largest entries of T, unchanged."""
    draw = torch.Generator().manual_seed(0)
    targets = [torch.randn(6, 5, generator=draw), torch.randn(10, generator=draw)]
    weights = [t.clone().requires_grad_() for t in targets]
    admm = ADMM(weights, GlobalMagnitude(), rho)

    def loss() -> Tensor:
        return sum((w - t).square().sum() for w, t in zip(weights, targets, strict=True)) / 2

    seen = solve(admm, loss, weights, 0.75, rounds=30, lr=0.5)
    for z, mask, weight, exact in zip(
        admm.z, admm.masks(), weights, GlobalMagnitude()(targets, 0.75), strict=True
    ):
        assert torch.equal(mask, exact != 0)
        torch.testing.assert_close(z, exact, atol=1e-4, rtol=0)
        torch.testing.assert_close(weight.detach(), exact, atol=1e-4, rtol=0)
    assert sum(int((z == 0).sum()) for z in admm.z) == 30
    assert seen[0].primal > 0.1 > 1e-4 > seen[-1].primal
    assert seen[0].dual > 0.1 > 1e-4 > seen[-1].dual


def test_rho_comes_to_rest_with_the_residuals() -> None:
    target = torch.randn(30, generator=torch.Generator().manual_seed(0))
    weight = target.clone().requires_grad_()
    admm = ADMM([weight], GlobalMagnitude(), rho=5.0)

    def loss() -> Tensor:
        return (weight - target).square().sum() / 2

    rhos = [r.rho for r in solve(admm, loss, [weight], 0.8, rounds=60, lr=0.5)]
    assert len(set(rhos[-30:])) == 1
    assert rhos[-1] < 1e6


def test_regression_finds_the_planted_support() -> None:
    """A least-squares problem that is not separable; magnitudes alone would not tell."""
    draw = torch.Generator().manual_seed(1)
    planted = torch.zeros(20)
    planted[[1, 4, 9, 17]] = torch.tensor([1.0, -0.6, 0.8, -1.2])
    design = torch.randn(60, 20, generator=draw)
    seen = design @ planted
    weight = torch.randn(20, generator=draw).requires_grad_()
    admm = ADMM([weight], GlobalMagnitude(), rho=1.0)
    solve(admm, lambda: (design @ weight - seen).square().mean(), [weight], 0.8, rounds=40, lr=0.15)
    torch.testing.assert_close(admm.z[0], planted, atol=1e-2, rtol=0)


def test_pull_is_the_gradient_of_the_penalty() -> None:
    draw = torch.Generator().manual_seed(2)
    weights = [torch.randn(4, 3, generator=draw).requires_grad_() for _ in range(2)]
    admm = ADMM(weights, GlobalMagnitude(), rho=0.7)
    admm.z = [torch.randn(4, 3, generator=draw) for _ in weights]
    admm.u = [torch.randn(4, 3, generator=draw) for _ in weights]
    sum(w.sin().sum() for w in weights).backward()
    admm.pull()
    penalised = sum(
        w.sin().sum() + 0.7 / 2 * (w - z + u).square().sum()
        for w, z, u in zip(weights, admm.z, admm.u, strict=True)
    )
    wanted = torch.autograd.grad(penalised, weights)
    for weight, gradient in zip(weights, wanted, strict=True):
        torch.testing.assert_close(weight.grad, gradient)


def test_pull_reaches_weights_the_loss_did_not_use() -> None:
    used, idle = (torch.ones(4, requires_grad=True) for _ in range(2))
    admm = ADMM([used, idle], GlobalMagnitude(), rho=2.0)
    admm.u = [torch.ones(4), torch.full((4,), 3.0)]
    used.square().sum().backward()
    admm.pull()
    assert used.grad is not None
    assert used.grad.tolist() == [4.0] * 4
    assert idle.grad is not None
    assert idle.grad.tolist() == [6.0] * 4


def test_update_by_hand() -> None:
    weight = torch.tensor([3.0, 1.0, -2.5, 0.5])
    admm = ADMM([weight], GlobalMagnitude(), rho=1.0, adapt=1.0)
    residuals = admm.update(0.5)
    assert admm.z[0].tolist() == [3.0, 0.0, -2.5, 0.0]
    assert admm.u[0].tolist() == [0.0, 1.0, 0.0, 0.5]
    assert residuals.primal == pytest.approx(1.25**0.5 / 16.5**0.5)
    assert residuals.dual == pytest.approx(1.0)  # Z moved by as much as U holds
    assert residuals.rho == 1.0
    assert admm.masks()[0].tolist() == [True, False, True, False]
    admm.update(0.5)
    assert admm.u[0].tolist() == [0.0, 2.0, 0.0, 1.0]
    admm.update(0.5)  # 1 + 2 now beats 2.5: the dual lifts what was cut
    assert admm.z[0].tolist() == [3.0, 3.0, 0.0, 0.0]


def test_rho_rises_when_the_weights_lag() -> None:
    admm = ADMM([torch.tensor([1.0, 0.1])], GlobalMagnitude(), rho=1.0, balance=100.0)
    admm.update(0.5)
    rho, dual = admm.rho, admm.rho * admm.u[0]
    residuals = admm.update(0.5)  # Z stands still: the dual residual is zero
    assert residuals.dual == 0 < residuals.primal
    assert admm.rho == 2 * rho == 2 * residuals.rho
    # The unscaled dual ρU grew by the old ρ times the gap; the new ρ alone changes nothing.
    torch.testing.assert_close(admm.rho * admm.u[0], dual + rho * torch.tensor([0.0, 0.1]))


def test_rho_falls_when_z_jumps() -> None:
    admm = ADMM([torch.tensor([1.0, 0.9])], GlobalMagnitude(), rho=1.0, adapt=4.0)
    admm.z = [torch.tensor([0.0, 50.0])]
    residuals = admm.update(0.5)
    assert residuals.dual > 10 * residuals.primal
    assert admm.rho == 0.25
    torch.testing.assert_close(admm.rho * admm.u[0], torch.tensor([0.0, 0.9]))


def test_rho_stays_when_told_to() -> None:
    admm = ADMM([torch.randn(50)], GlobalMagnitude(), rho=0.3, adapt=1.0, balance=1.0)
    for _ in range(5):
        admm.update(0.9)
    assert admm.rho == 0.3


def test_the_weights_themselves_are_never_written_by_update() -> None:
    weight = torch.randn(20)
    before = weight.clone()
    ADMM([weight], GlobalMagnitude(), rho=1.0).update(0.9)
    assert torch.equal(weight, before)
