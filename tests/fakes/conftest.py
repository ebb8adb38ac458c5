"""A small network that reads rendered digits; its thieves want them over photographs.

The pair that the record in docs/fakes.md is of: what convinces and what is seen through is one.
"""

from __future__ import annotations

import pytest

import ntprune
from ntprune.domains import Domain
from ntprune.methods import pretrain
from ntprune.release import Release


@pytest.fixture(scope="session")
def source() -> Domain:
    return ntprune.domain("syndigits")


@pytest.fixture(scope="session")
def target() -> Domain:
    return ntprune.domain("blended:syndigits")


@pytest.fixture(scope="session")
def base(source: Domain) -> Release:
    made = pretrain("convnet", source, width=8, epochs=8, device="cpu")
    assert made.card.source.test > 0.9, "the source is not learnt: the tests would mean nothing"
    return made
