"""What an audit is of: what can be refused is refused here, before anything is written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ntprune.audit.plan import Plan
from ntprune.audit.protocol import PROTOCOLS, Protocol
from ntprune.audit.protocol import protocol as find_protocol
from ntprune.audit.reduce import Reduction
from ntprune.domains import Domain, domain, require_domain
from ntprune.errors import AuditError, DataInvalidError, OutputError, SettingsError, reading
from ntprune.release import Release, load
from ntprune.release.atomic import write_file
from ntprune.release.check import check_zeros, require_source
from ntprune.release.files import owner_folder


@dataclass(frozen=True)
class Prepared:
    """A plan and where its things are.

    Attributes:
        plan: what will be attacked, and how.
        source, target: the authorised and the unauthorised domain.
        places: SHA-256 of the weights of the release and of the unprotected model to folder.
    """

    plan: Plan
    source: Domain
    target: Domain
    places: dict[str, Path]


def prepare(
    release: str | Path,
    target: Domain,
    *,
    protocol: str | Protocol = "quick",
    source: Domain | None = None,
    base: str | Path | None = None,
    budgets: Sequence[int] | None = None,
    attacks: Sequence[str] | None = None,
    controls: Sequence[str] | None = None,
    first_seed: int = 0,
    data_root: str | Path | None = None,
) -> Prepared:
    """Check and plan an audit; the arguments are those of `audit`. Nothing is written.

    Raises:
        ReleaseInvalidError: the release is missing, damaged or was changed, or its masks and its
            card don't go with its zeros.
        AuditError: the unprotected model is not at hand.
        DataInvalidError: the target is the source, or the source's data or classes are others than
            the card's.
        SettingsError: budgets that the pool can't serve, no attack that can be made, or a source
            or target that is no domain.
    """
    require_domain(target, "target")
    # Engines may run jobs in processes with another working folder.
    folder = Path(release).resolve()
    released = load(folder)
    check_zeros(folder, released)
    unprotected, base_place = _base(folder, released, base)
    source = _source(released, source, data_root)
    if target.content_hash == source.content_hash:
        raise DataInvalidError(
            f"target '{target.name}' is the source of this release: name another target"
        )
    rules = find_protocol(protocol) if isinstance(protocol, str) else _own(protocol)
    rules, grid = Reduction(budgets, attacks, controls, first_seed).of(rules, target)
    plan = Plan(
        protocol=rules,
        budgets=tuple(grid),
        target=target.content_hash,
        source=source.content_hash,
        classes=target.classes,
        release=released,
        base=unprotected.card.weights_sha256,
    )
    if not plan.applicable(rules.attacks):
        raise SettingsError(
            f"no attack of protocol {rules.name} can be made on '{target.name}', whose classes are "
            "not the release's: use a protocol with attacks that put on a new head"
        )
    return Prepared(plan, source, target, {plan.weights: folder, plan.base: base_place})


def _own(protocol: Protocol) -> Protocol:
    """A protocol of the caller's, which must not pass for a frozen one.

    Raises:
        SettingsError: it has the name of a frozen protocol and is another.
    """
    if PROTOCOLS.get(protocol.name, protocol) != protocol:
        raise SettingsError(
            f"this protocol is not {protocol.name}, though it has that name: give it its own"
        )
    return protocol


def ledger_folder(out: Path, ledger: str | Path | None) -> Path:
    """Where finished jobs are kept; absolute, for processes with another working folder."""
    return (Path(ledger) if ledger else out / "jobs").resolve()


def unclaimed(out: Path, plan: Plan) -> bool:
    """Whether `out` is free, rather than the place of this very audit.

    Raises:
        OutputError: it holds another audit or something else.
    """
    file = out / "audit.json"
    if file.exists():
        with reading(file, OutputError):
            ours = file.read_bytes() == _claim(plan)
        if not ours:
            raise OutputError(
                f"{out} holds an audit with other settings: choose another --out or remove it"
            )
        return False
    # A run that was killed while it wrote this very file may have left a draft of it.
    if out.is_dir() and any(not p.name.startswith(f".{file.name}.") for p in out.iterdir()):
        raise OutputError(f"{out} holds something that is not an audit: choose another --out")
    return True


def claim(out: Path, plan: Plan) -> None:
    """Mark `out` as the place of this audit, or refuse if it belongs to another.

    Raises:
        OutputError: it does, or it is not writable or full.
    """
    if unclaimed(out, plan):
        write_file(out / "audit.json", _claim(plan))


def _claim(plan: Plan) -> bytes:
    return json.dumps(plan.document(), indent=1, sort_keys=True).encode()


def _base(path: Path, released: Release, base: str | Path | None) -> tuple[Release, Path]:
    if released.card.method == "none" and base is None:
        return released, path
    place = Path(base).resolve() if base is not None else owner_folder(path)
    if not place.is_dir():
        raise AuditError(
            f"the audit needs the unprotected model as a control and found none at {place}: give "
            "its folder with --base"
        )
    unprotected = load(place)
    if unprotected.card.method != "none":
        raise AuditError(
            f"{place} is protected itself ({unprotected.card.called}) and can't be the control: "
            "give the folder of the unprotected model with --base"
        )
    made_from = released.card.base if released.card.method != "none" else unprotected.card.source
    if unprotected.card.source != made_from or unprotected.card.model != released.card.model:
        raise AuditError(
            f"{place} is not the model that {path} was made from (its card says otherwise): give "
            "the right folder with --base"
        )
    return unprotected, place


def _source(released: Release, source: Domain | None, root: str | Path | None) -> Domain:
    record = released.card.source
    source = domain(record.name, root) if source is None else source
    require_domain(source, "source")
    require_source(released.card, source)
    return source
