"""`ntprune doctor`."""

from __future__ import annotations

from ntprune.cli.console import emit, workers_or_cores
from ntprune.cli.options import DataRoot, Device, Json, Seed


def doctor(
    seed: Seed = 0, device: Device = "auto", data_root: DataRoot = None, json: Json = False
) -> None:
    """Say what this installation can do, and which data are there."""
    from ntprune.audit.protocol import PROTOCOLS
    from ntprune.domains import domain, domain_names
    from ntprune.engine import resolve_device
    from ntprune.errors import NtpruneError
    from ntprune.jobs import engine_names
    from ntprune.models import architecture_names
    from ntprune.release.card import versions

    ready, missing = {}, {}
    for name in domain_names():
        try:
            data = domain(name, data_root)
            ready[name] = f"{len(data.owner_train)} train, {len(data.test)} test"
        except NtpruneError as error:
            missing[name] = str(error)
    found = versions()
    chosen = str(resolve_device(device))
    lines = [
        *(f"{name} {version}" for name, version in found.items()),
        f"device {chosen}, {workers_or_cores(0)} cores, engines {', '.join(engine_names())}",
        f"architectures {', '.join(architecture_names())}",
        f"protocols {', '.join(sorted(PROTOCOLS))}",
        *(f"domain {name}: ready ({text})" for name, text in ready.items()),
        *(f"domain {name}: {text}" for name, text in missing.items()),
    ]
    document = {
        "versions": found,
        "device": chosen,
        "architectures": architecture_names(),
        "protocols": sorted(PROTOCOLS),
        "domains": ready,
        "missing": missing,
    }
    emit(json, document, lines)
