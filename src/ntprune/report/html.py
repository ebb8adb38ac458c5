"""One self-contained HTML file: no script, no network, light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ntprune.report.figures import pictures
from ntprune.report.load import Audit
from ntprune.report.view import build

TEMPLATES = Path(__file__).parent / "templates"


def to_html(audits: Sequence[Audit]) -> str:
    """The report on `audits`. Whatever comes from outside is escaped."""
    page = build(audits)
    figures = [
        pictures(audit, f"a{index}", part.protocol)
        for index, (audit, part) in enumerate(zip(audits, page.sections, strict=True), 1)
    ]
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("report.html.j2").render(page=page, figures=figures)
