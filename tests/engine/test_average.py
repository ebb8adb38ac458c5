"""The moving average of weights."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from ntprune.engine import AveragedWeights


def run(values: list[float], decay: float) -> tuple[nn.Linear, AveragedWeights]:
    module = nn.Linear(2, 1)
    average = AveragedWeights(module, decay)
    for value in values:
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.fill_(value)
        average.update()
    return module, average


def by_hand(values: list[float], decay: float) -> float:
    mean = 0.0
    for number, value in enumerate(values, start=1):
        mean += max(1 - decay, 1 / number) * (value - mean)
    return mean


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.9, 0.999])
def test_it_is_the_plain_mean_first_and_exponential_later(decay: float) -> None:
    values = [1.0, 5.0, -2.0, 8.0, 3.0, 3.5]
    module, average = run(values, decay)
    with average.in_place() as mean:
        for parameter, held in zip(module.parameters(), mean, strict=True):
            assert torch.equal(parameter, held)
            assert parameter.flatten().tolist() == pytest.approx(
                [by_hand(values, decay)] * parameter.numel()
            )
    if decay == 0.999:
        assert by_hand(values, decay) == pytest.approx(sum(values) / 6)
    if decay == 0:
        assert by_hand(values, decay) == 3.5


def test_the_modules_own_weights_come_back_even_after_an_error() -> None:
    module, average = run([1.0, 4.0], 0.9)
    seen = []

    def fail() -> None:
        with average.in_place():
            seen.append(module.bias.item())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert seen == [2.5]
    assert module.bias.item() == 4.0
    with average.in_place():
        assert module.bias.item() == pytest.approx(2.5)


def test_the_start_counts_for_nothing_and_a_restart_forgets() -> None:
    module, average = run([7.0], 0.9)
    with average.in_place():
        assert module.bias.item() == 7.0
    average.restart()
    with torch.no_grad():
        module.bias.fill_(1.0)
    average.update()
    with average.in_place():
        assert module.bias.item() == 1.0


def test_a_restart_forgets_what_is_not_a_number_too() -> None:
    module, average = run([1.0, math.nan], 0.9)
    average.restart()
    with torch.no_grad():
        module.bias.fill_(2.0)
    average.update()
    with average.in_place():
        assert module.bias.item() == 2.0


def test_gradients_are_not_switched_off_inside() -> None:
    module, average = run([1.0], 0.9)
    with average.in_place():
        assert torch.is_grad_enabled()
        module(torch.ones(1, 2)).sum().backward()
    assert torch.is_grad_enabled()
    assert module.weight.grad is not None
