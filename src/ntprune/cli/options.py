"""Options that commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on stdout, all else on stderr.")
]
Seed = Annotated[int, typer.Option(help="Seed of every random draw.", min=0, max=2**63 - 1)]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")]
DataRoot = Annotated[
    Path | None,
    typer.Option(help="Folder that holds the domains' files (else NTPRUNE_DATA, else data)."),
]
Targets = Annotated[
    list[str],
    typer.Option(
        "--target",
        help="Domain the model must not be reused for; repeatable. 'none' if it is not known: "
        "synthetic neighbours of the source stand in.",
    ),
]
Engine = Annotated[str, typer.Option(help="inline, process or ray.")]
Workers = Annotated[
    int,
    typer.Option(
        help="How many jobs run at once; 0 (default) for one per CPU core, or one on a GPU.",
        min=0,
        show_default=False,
    ),
]
