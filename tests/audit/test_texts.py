"""Every flag that can be raised says when, what it means and what to do, and says it once."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import ntprune
from ntprune.audit.flags.texts import entries, page

PACKAGE = Path(ntprune.__file__).parent


def made() -> list[tuple[str, ast.expr | None]]:
    """Every `Flag(...)` in the package: the module, and what is given as its name."""
    return [
        (
            str(module.relative_to(PACKAGE)),
            next((k.value for k in call.keywords if k.arg == "name"), None),
        )
        for module in sorted(PACKAGE.rglob("*.py"))
        for call in ast.walk(ast.parse(module.read_text()))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Flag"
    ]


def test_a_flag_that_can_be_raised_has_an_entry_and_every_entry_a_flag() -> None:
    names = []
    for module, name in made():
        assert isinstance(name, ast.Constant), f"{module}: name the flag where it is made"
        names.append(name.value)
    assert set(names) == set(entries()), "give every flag an entry in audit/flags/texts.yaml"


@pytest.mark.parametrize("name", entries())
def test_an_entry_is_whole(name: str) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", name), "it is an anchor"
    entry = entries()[name]
    for text in (entry.raised, entry.meaning, entry.remedy):
        assert text.endswith(".")
        assert text.strip() == text
        assert "\n" not in text
        assert text.count("`") % 2 == 0
        bare = re.sub("`[^`]*`", "", text)
        assert not re.search(r"[*_<\[\\]", bare), "`code` is the only markup"


def test_the_page_is_the_entries() -> None:
    written = (Path(__file__).parents[2] / "docs" / "flags.md").read_text(encoding="utf-8")
    assert written == page(), "run: python -m ntprune.audit.flags.texts > docs/flags.md"
