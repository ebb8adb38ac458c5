"""Modules stay short."""

from __future__ import annotations

import ast
from pathlib import Path
from statistics import median

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "ntprune"
MODULES = sorted(SOURCE.rglob("*.py"))


def lines(module: Path) -> int:
    return len(module.read_text().splitlines())


def test_no_module_is_long() -> None:
    assert len(MODULES) > 80
    assert {str(m.relative_to(SOURCE)): lines(m) for m in MODULES if lines(m) > 400} == {}


def test_the_median_module_is_short() -> None:
    assert median(lines(m) for m in MODULES if m.name != "__init__.py") < 150


@pytest.mark.parametrize("module", MODULES, ids=lambda m: str(m.relative_to(SOURCE)))
def test_every_module_says_what_it_is(module: Path) -> None:
    assert ast.get_docstring(ast.parse(module.read_text()))
