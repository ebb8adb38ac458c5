"""`ntprune attack`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ntprune.cli.console import emit
from ntprune.cli.options import DataRoot, Device, Json, Seed


def attack(
    release: Annotated[Path, typer.Argument(help="Folder of the released file.")],
    target: Annotated[str, typer.Option(help="Domain the thief wants to use it for.")],
    attack: Annotated[str, typer.Option(help="See 'ntprune attacks'.")],
    budget: Annotated[int, typer.Option(help="Target images the thief has.")],
    lr: Annotated[float, typer.Option(help="Peak learning rate.")] = 3e-3,
    optimiser: Annotated[str, typer.Option(help="adamw, adam or sgd (with momentum).")] = "adamw",
    steps: Annotated[
        int | None, typer.Option(help="Optimiser steps; those of protocol quick if not given.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="New folder for the stolen model.")] = None,
    seed: Seed = 0,
    device: Device = "auto",
    data_root: DataRoot = None,
    json: Json = False,
) -> None:
    """Make one attack at one rate, and train from scratch beside it."""
    from ntprune.audit.single import single
    from ntprune.domains import domain
    from ntprune.release import save_weights
    from ntprune.release.atomic import require_new

    if out is not None:
        require_new(out)
    found = single(
        release,
        domain(target, data_root),
        attack,
        budget,
        lr=lr,
        optimiser=optimiser,  # type: ignore[arg-type]  # checked there
        steps=steps,
        seed=seed,
        device=device,
        data_root=data_root,
    )
    document = {
        "attack": attack,
        "target": target,
        "budget": budget,
        "lr": lr,
        "optimiser": optimiser,
        "seed": seed,
        "steps": found.steps,
        "accuracy": found.accuracy,
        "scratch": found.scratch,
        "out": None if out is None else str(out),
    }
    lines = [
        f"{attack} on {target} with {budget} images, {found.steps} steps of {optimiser} at {lr:g}: "
        f"test accuracy {100 * found.accuracy:.2f} %; from scratch {100 * found.scratch:.2f} %",
        "one attack at one learning rate is no audit: ntprune audit searches",
    ]
    if out is not None:
        save_weights(found.model, out)
        lines.append(f"saved to {out}")
    emit(json, document, lines)
