"""The Markdown twin: the same text and numbers, tables in place of figures."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ntprune.report.html import TEMPLATES
from ntprune.report.load import Audit
from ntprune.report.view import build


def to_markdown(audits: Sequence[Audit]) -> str:
    """The report on `audits`. Every value is escaped."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=False,
        finalize=escape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    text = environment.get_template("report.md.j2").render(page=build(audits))
    return re.sub(r"\n{3,}", "\n\n", text)


def escape(value: Any) -> str:
    """`value` as plain text in Markdown, also inside a table cell."""
    text = str(value).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"([\\`*\[\]|$~])", r"\\\1", text)
    # Underscores inside a word are no emphasis.
    return re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", text)
