"""`ntprune pretrain`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from ntprune.cli.console import emit, progress_bar
from ntprune.cli.options import DataRoot, Device, Json, Seed


def pretrain(
    source: Annotated[str, typer.Option(help="Domain to train on (see 'ntprune domains').")],
    out: Annotated[Path, typer.Option(help="New folder for the model.")],
    model: Annotated[
        str, typer.Option(help="Architecture; 'ntprune doctor' lists them.")
    ] = "convnet",
    epochs: Annotated[float, typer.Option(help="Passes over the training images.", min=0)] = 10,
    lr: Annotated[float, typer.Option(help="Peak learning rate.")] = 3e-3,
    batch: Annotated[int, typer.Option(help="Images per step.", min=2)] = 128,
    width: Annotated[int | None, typer.Option(help="Channels of the first stage.", min=1)] = None,
    size: Annotated[
        int | None,
        typer.Option(help="Pixels the network reads, 8 to 1024; by default the domain's own."),
    ] = None,
    stem: Annotated[
        str | None, typer.Option(help="small or imagenet; by default small below 96 pixels.")
    ] = None,
    seed: Seed = 0,
    device: Device = "auto",
    data_root: DataRoot = None,
    json: Json = False,
) -> None:
    """Train a model; its best validation checkpoint is kept."""
    from ntprune.domains import domain
    from ntprune.methods import pretrain as train
    from ntprune.release.atomic import require_new

    require_new(out)
    data = domain(source, data_root)
    with progress_bar() as progress:
        release = train(
            model,
            data,
            epochs=epochs,
            lr=lr,
            batch=batch,
            width=width,
            size=size,
            stem=stem,
            seed=seed,
            device=device,
            progress=progress,
        )
    release.save(out)
    record = release.card.source
    emit(
        json,
        {"out": str(out), "card": release.card.model_dump(mode="json", by_alias=True)},
        [
            f"{release.model!r} trained on {data.name}: "
            f"validation {100 * record.validation:.2f} %, test {100 * record.test:.2f} %",
            f"saved to {out}; next: ntprune protect {shlex.quote(str(out))} --target NAME "
            "--out release/",
        ],
    )
