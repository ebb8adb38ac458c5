"""The cubic schedule."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from ntprune.sparsity import cubic

shares = st.floats(0, 0.999)


@given(steps=st.integers(1, 1000), final=shares, start=shares)
def test_both_ends_are_exact(steps: int, final: float, start: float) -> None:
    assert cubic(steps, steps, final, start) == final
    assert abs(cubic(0, steps, final, start) - start) < 1e-12
    assert cubic(steps + 7, steps, final, start) == final


@given(steps=st.integers(2, 200), final=shares)
def test_it_grows_ever_more_slowly(steps: int, final: float) -> None:
    values = [cubic(step, steps, final) for step in range(steps + 1)]
    gains = [b - a for a, b in itertools.pairwise(values)]
    assert all(gain >= 0 for gain in gains)
    assert all(b <= a + 1e-12 for a, b in itertools.pairwise(gains))


def test_worked_example() -> None:
    # 0.9 + (0.1 - 0.9)·(3/4)³ = 0.9 - 0.8·27/64
    assert abs(cubic(1, 4, 0.9, 0.1) - 0.5625) < 1e-12


def test_steps_before_the_first_count_as_the_first() -> None:
    assert cubic(-3, 10, 0.9, 0.2) == cubic(0, 10, 0.9, 0.2)
