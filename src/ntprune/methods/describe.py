"""What each method can be told, read off its settings: for the command line and docs/settings.md.

`python -m ntprune.methods.describe > docs/settings.md` writes the page anew.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo

from ntprune.methods.base import Method
from ntprune.methods.registry import method_class, method_names, preset_names

_PAGE = """# Settings

What `ntprune protect` passes on with `--set name=value`, and `ntprune.protect` takes as keyword \
arguments; `sparsity` and `max_source_drop` have options of their own. `ntprune methods NAME` \
prints the same. Written by `python -m ntprune.methods.describe`.
"""
_SIGNS = {Ge: "≥", Gt: ">", Le: "≤", Lt: "<"}


@dataclass(frozen=True)
class Setting:
    """One of a method's settings.

    Attributes:
        name: of the keyword argument.
        default: as it would be written.
        allowed: its range or its values, in words; empty where the type says it all.
        meaning: what its class says of it; settings that are explained together share it.
    """

    name: str
    default: str
    allowed: str
    meaning: str


def settings_of(kind: type[Method]) -> list[Setting]:
    """The settings of a method, in the order in which its classes name them."""
    meanings: dict[str, str] = {}
    for each in reversed(kind.Settings.__mro__):
        meanings |= dict(_explained(inspect.getdoc(each) or ""))
    return [
        Setting(name, _written(field.default), _allowed(field), meanings.get(name, ""))
        for name, field in kind.Settings.model_fields.items()
    ]


def page() -> str:
    """docs/settings.md."""
    parts = [_PAGE]
    for name in method_names():
        for preset in preset_names(name):
            kind = method_class(name, preset)
            title = f"`{name}`" if preset == "default" else f"`{name} --preset {preset}`"
            parts.append(f"## {title}\n\n{kind.summary}: {kind.reference}.\n")
            parts.append("\n".join(_table(settings_of(kind))) + "\n")
    return "\n".join(parts)


def _table(settings: list[Setting]) -> Iterator[str]:
    if not settings:
        yield "No settings."
        return
    yield "| setting | default | allowed | meaning |"
    yield "|---|---|---|---|"
    for each in settings:
        yield f"| `{each.name}` | {each.default} | {each.allowed} | {each.meaning} |"


def _explained(doc: str) -> Iterator[tuple[str, str]]:
    """Names and meanings of the section `Attributes` of a docstring."""
    _, _, section = doc.partition("Attributes:\n")
    for entry in re.split(r"\n(?=    \S)", section):
        names, colon, meaning = entry.strip().partition(": ")
        if colon:
            text = " ".join(meaning.split())
            yield from ((name.strip(), text) for name in names.split(","))


def _written(value: Any) -> str:
    return "none" if value == () else str(value)


def _allowed(field: FieldInfo) -> str:
    if get_origin(field.annotation) is Literal:
        return ", ".join(map(str, get_args(field.annotation)))
    bounds = [
        f"{sign} {getattr(bound, name)}"
        for bound in field.metadata
        for (kind, sign), name in zip(_SIGNS.items(), ("ge", "gt", "le", "lt"), strict=True)
        if isinstance(bound, kind)
    ]
    whole = ["whole number"] if field.annotation is int else []
    return ", ".join(whole + bounds)


if __name__ == "__main__":
    print(page(), end="")
