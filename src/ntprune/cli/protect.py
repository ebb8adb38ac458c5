"""`ntprune protect`."""

from __future__ import annotations

import shlex
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any

import typer

from ntprune.cli.console import emit, progress_bar
from ntprune.cli.options import DataRoot, Device, Json, Seed, Targets
from ntprune.errors import SettingsError


def protect(
    base: Annotated[Path, typer.Argument(help="Folder that 'ntprune pretrain' wrote.")],
    target: Targets,
    out: Annotated[Path, typer.Option(help="New folder for the release.")],
    method: Annotated[str, typer.Option(help="See 'ntprune methods'.")] = "ntp",
    preset: Annotated[
        str, typer.Option(help="Preset of the method; 'paper' is ntp as its authors run it.")
    ] = "default",
    sparsity: Annotated[
        float | None,
        typer.Option(help="Share of zeros, in [0, 1); by default the method's own (ntp: 0.85)."),
    ] = None,
    max_source_drop: Annotated[
        float | None,
        typer.Option(help="Percentage points of source accuracy that may be lost (ntp: 1.0)."),
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Any other setting, as name=value; 'ntprune methods NAME' lists them. Of several "
            "targets, combine=worst protects the one that a thief gets most from, weights=[2,1] "
            "their weighted mean.",
        ),
    ] = None,
    seed: Seed = 0,
    device: Device = "auto",
    data_root: DataRoot = None,
    json: Json = False,
) -> None:
    """Prune a model so that it gives no head start on the target."""
    from ntprune.domains import domain
    from ntprune.methods import method_class
    from ntprune.methods import protect as run
    from ntprune.methods.checkpoint import beside
    from ntprune.release import load
    from ntprune.release.atomic import require_new
    from ntprune.release.files import check_owner, owner_folder

    if "none" in target and len(target) > 1:
        raise SettingsError(
            f"--target none means that no target is known, and {len(target) - 1} more --target "
            "came with it: give it alone or leave it out"
        )
    require_new(out)
    chosen = _settings(setting or [], method_class(method, preset).Settings.model_fields)
    chosen |= {
        name: value
        for name, value in (("sparsity", sparsity), ("max_source_drop", max_source_drop))
        if value is not None
    }
    given = load(base)
    check_owner(owner_folder(out), given)
    source = domain(given.card.source.name, data_root)
    unseen = target == ["none"]
    targets = None if unseen else [domain(name, data_root) for name in target]
    with progress_bar() as progress:
        release = run(
            given,
            source,
            targets,
            method=method,
            preset=preset,
            seed=seed,
            device=device,
            progress=progress,
            checkpoint=beside(out),
            **chosen,
        )
    release.save(out)
    card = release.card
    before = given.card.source
    step = ["ntprune", "audit", str(out), "--target", "NAME" if unseen else target[0]]
    step += ["--out", "audit/"]
    emit(
        json,
        {"out": str(out), "card": card.model_dump(mode="json", by_alias=True)},
        [
            f"{card.called}: sparsity {card.sparsity:.4f}; source validation "
            f"{100 * before.validation:.2f} % → {100 * card.source.validation:.2f} %, test "
            f"{100 * before.test:.2f} % → {100 * card.source.test:.2f} %",
            f"ship {out}; keep {out}.owner, which holds the unprotected model",
            f"next: {shlex.join(step)}"
            + (", NAME being what a thief might want (ntprune domains)" if unseen else ""),
        ],
    )


def _settings(pairs: list[str], known: Collection[str]) -> dict[str, Any]:
    import yaml

    settings = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise SettingsError(f"--set {pair}: expected name=value, for instance --set fisher=3")
        if name.strip() not in known:
            raise SettingsError(
                f"--set {pair}: the method has no setting '{name.strip()}', choose from "
                f"{', '.join(sorted(known))}"
            )
        try:
            settings[name.strip()] = yaml.safe_load(value)
        except (yaml.YAMLError, ValueError) as error:  # the latter of a date that there isn't
            raise SettingsError(
                f"--set {pair}: the value is not YAML; quote what has brackets or colons"
            ) from error
    return settings
