"""Every setting of every method is explained, and the page is what the code says."""

from __future__ import annotations

from pathlib import Path

import pytest

from ntprune.methods import method_class, method_names, preset_names
from ntprune.methods.describe import page, settings_of

KINDS = [method_class(name, p) for name in method_names() for p in preset_names(name)]
PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind.name}, {kind.preset}")
def test_every_setting_has_a_meaning(kind: type) -> None:
    found = settings_of(kind)
    assert [each.name for each in found] == list(kind.Settings.model_fields)  # type: ignore[attr-defined]
    assert [each.name for each in found if not each.meaning.endswith(".")] == []


def test_ranges_and_values_are_those_that_are_checked() -> None:
    found = {each.name: each for each in settings_of(method_class("ntp"))}
    assert found["sparsity"].allowed == "≥ 0, < 1"
    assert found["depth"].allowed == "whole number, ≥ 1, ≤ 40"
    assert found["combine"].allowed == "mean, worst"
    assert found["depth"].meaning == found["every"].meaning
    assert found["weights"].default == "none"


def test_the_page_is_written_by_the_code() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), (
        "python -m ntprune.methods.describe > docs/settings.md"
    )
