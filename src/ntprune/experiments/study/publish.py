"""Writes what a study has found so far: `data.json`, `table.md` and `figure.svg`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from ntprune.errors import OutputError
from ntprune.experiments.study.record import Record
from ntprune.experiments.study.table import table
from ntprune.experiments.study.variants import Study
from ntprune.release.atomic import write_file
from ntprune.report.svg import WIDE, standalone

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def require_own(results: Path, study: Study, pair: str) -> None:
    """Refuse a folder with the results of another study or pair, and what can't be a folder.

    Raises:
        OutputError: it holds some, or is a file or below one.
    """
    file = results / "data.json"
    place = next(path for path in (results, *results.absolute().parents) if path.exists())
    if not place.is_dir():
        raise OutputError(f"{place} is a file and no folder: choose another --results")
    if not file.exists():
        return
    try:
        found = json.loads(file.read_bytes())
        holds = found["study"], found["pair"]
    except (ValueError, KeyError, TypeError):
        holds = ("something else", "?")
    if holds != (study.name, pair):
        raise OutputError(f"{results} holds '{holds[0]}' on {holds[1]}: choose another --results")


def publish(study: Study, record: Record, results: Path) -> None:
    """Write the three files; the figure once there is something to draw.

    Raises:
        OutputError: the folder is not writable or full.
    """

    def draw(figure: Figure, width: int) -> None:
        study.draw(record, figure)

    data = record.model_dump_json(indent=1, by_alias=True).encode() + b"\n"
    if any(row.measured for row in record.rows):
        words = f"{record.question} {record.pair}, {record.protocol}."
        picture = standalone(study.name, words, WIDE, study.height, draw)
        write_file(results / "figure.svg", picture.encode())
    write_file(results / "table.md", table(record).encode())
    write_file(results / "data.json", data)
