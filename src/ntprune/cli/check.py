"""`ntprune check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ntprune.cli.console import emit
from ntprune.cli.options import DataRoot, Device, Json, Seed


def check(
    release: Annotated[Path, typer.Argument(help="Release folder.")],
    data: Annotated[
        bool, typer.Option("--data", help="Measure the source accuracy on the card as well.")
    ] = False,
    seed: Seed = 0,
    device: Device = "auto",
    data_root: DataRoot = None,
    json: Json = False,
) -> None:
    """Verify a release: hashes, masks, sparsity, source accuracy."""
    from ntprune.domains import domain
    from ntprune.engine import resolve_device
    from ntprune.release import check as run
    from ntprune.release.files import read_card

    card = read_card(release)
    source = domain(card.source.name, data_root) if data else None
    found = run(release, source, resolve_device(device))
    accuracy = "" if found.test is None else f", source test accuracy {100 * found.test:.2f} %"
    emit(
        json,
        {
            "release": str(release),
            "sparsity": found.sparsity,
            "test": found.test,
            "weights_sha256": card.weights_sha256,
        },
        [
            f"{release} holds what its card says: sparsity {found.sparsity:.4f}{accuracy}",
            f"SHA-256 of model.safetensors: {card.weights_sha256}",
        ],
    )
