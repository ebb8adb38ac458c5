"""The real images of NTPRUNE_DATA."""

from __future__ import annotations

import os

import pytest

from ntprune.domains import domain

pytestmark = [
    pytest.mark.realdata,
    pytest.mark.skipif("NTPRUNE_DATA" not in os.environ, reason="NTPRUNE_DATA is not set"),
]


@pytest.mark.parametrize(
    ("name", "shape", "rest", "test"),
    [
        ("mnist", (1, 28), 60_000, 10_000),
        ("usps", (1, 16), 7_291, 2_007),
        ("blended:usps", (3, 16), 7_291, 2_007),
        ("npz:cifar10_subset.npz[airplane,ship,2]", (3, 32), 3_000, 600),
    ],
)
def test_real_sets_load_whole(name: str, shape: tuple[int, int], rest: int, test: int) -> None:
    loaded = domain(name)
    assert (loaded.channels, loaded.size) == shape
    assert len(loaded.train) + len(loaded.validation) + len(loaded.pool) == rest
    assert len(loaded.test) == test
    assert set(loaded.validation.labels.tolist()) == set(range(len(loaded.classes)))


def test_class_names_of_the_subset() -> None:
    loaded = domain("npz:cifar10_subset.npz[airplane,ship,2]", size=16)
    assert (loaded.classes, loaded.size) == (("airplane", "ship", "bird"), 16)
