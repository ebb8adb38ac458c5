"""`ntprune report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ntprune.cli.console import emit
from ntprune.cli.options import DataRoot, Device, Json, Seed


def report(
    audits: Annotated[list[Path], typer.Argument(help="Folders that 'ntprune audit' wrote.")],
    out: Annotated[Path, typer.Option(help="HTML file; a Markdown twin goes beside it.")] = Path(
        "report.html"
    ),
    seed: Seed = 0,
    device: Device = "auto",
    data_root: DataRoot = None,
    json: Json = False,
) -> None:
    """Render audits as one HTML file and its Markdown twin."""
    from ntprune.report import render

    page = render(audits, out)
    twin = page.with_suffix(".md")
    emit(json, {"html": str(page), "markdown": str(twin)}, [f"wrote {page} and {twin}"])
