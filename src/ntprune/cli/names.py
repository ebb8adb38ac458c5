"""`ntprune domains`, `ntprune methods` and `ntprune attacks`: what there is."""

from __future__ import annotations

from typing import Annotated

import typer

from ntprune.cli.console import emit
from ntprune.cli.options import DataRoot, Device, Json, Seed


def domains(
    download: Annotated[
        str | None, typer.Option(help="Fetch this domain's files into the data root.")
    ] = None,
    seed: Seed = 0,
    device: Device = "auto",
    data_root: DataRoot = None,
    json: Json = False,
) -> None:
    """List the image sets, or fetch one."""
    from ntprune.domains import describe, domain

    if download is not None:
        data = domain(download, data_root, download=True)
        emit(json, {"domain": data.name, "hash": data.content_hash}, [f"{data.name} is ready"])
        return
    _list(json, describe())


def methods(
    name: Annotated[str | None, typer.Argument(help="Print this method's settings.")] = None,
    preset: Annotated[str, typer.Option(help="Of that method.")] = "default",
    seed: Seed = 0,
    device: Device = "auto",
    data_root: DataRoot = None,
    json: Json = False,
) -> None:
    """List defences, controls and presets, or a method's settings."""
    from dataclasses import asdict

    from ntprune.methods import method_class, method_names, preset_names
    from ntprune.methods.describe import settings_of

    if name is not None:
        settings = settings_of(method_class(name, preset))
        lines = [
            f"{each.name} = {each.default}{f' ({each.allowed})' if each.allowed else ''}: "
            f"{each.meaning}"
            for each in settings
        ]
        emit(json, {each.name: asdict(each) for each in settings}, lines or ["no settings"])
        return
    found = (method_class(name, p) for name in method_names() for p in preset_names(name))
    _list(json, {_asked_for(kind.name, kind.preset): kind.summary for kind in found})


def attacks(
    seed: Seed = 0, device: Device = "auto", data_root: DataRoot = None, json: Json = False
) -> None:
    """List the attacks and what a thief needs for each."""
    from dataclasses import asdict

    from ntprune.attacks import attack_class, attack_names

    kinds = {name: attack_class(name) for name in attack_names()}
    document = {name: {"summary": k.summary, **asdict(k.threat)} for name, k in kinds.items()}
    lines = [_THREAT.format("attack", "labels", "source", "mask", "head", "what it does")]
    for name, kind in kinds.items():
        needs = ("yes" if need else "no" for need in (kind.threat.labels, kind.threat.source))
        lines.append(_THREAT.format(name, *needs, kind.threat.mask, kind.threat.head, kind.summary))
    emit(json, document, lines)


_THREAT = "{:<18} {:<7} {:<7} {:<5} {:<5} {}"


def _asked_for(name: str, preset: str) -> str:
    return name if preset == "default" else f"{name} --preset {preset}"


def _list(json: bool, names: dict[str, str]) -> None:
    width = max(len(name) for name in names)
    emit(json, dict(names), [f"{name:<{width}}  {text}" for name, text in names.items()])
