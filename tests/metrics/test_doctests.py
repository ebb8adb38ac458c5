"""The worked examples in the documentation are true."""

from __future__ import annotations

import doctest
import importlib

import pytest


@pytest.mark.parametrize(
    "name",
    [
        "ntprune.metrics.slc",
        "ntprune.metrics.intervals",
        "ntprune.metrics.logme",
        "ntprune.metrics.ranking",
        "ntprune.sparsity.schedule",
    ],
)
def test_examples(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0
    assert result.failed == 0
