"""Releases beside what an audit found of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ntprune.attacks import attack_class
from ntprune.audit.protocol import procedure
from ntprune.audit.schema import Control, Report
from ntprune.domains import Domain, domain, require_content
from ntprune.errors import SettingsError
from ntprune.release import Release, load
from ntprune.release.files import owner_folder
from ntprune.report.load import load as load_audit

# A rate in [0, 1]; what the audit measured and what the card says, on other hardware perhaps.
_SAME_ACCURACY = 2e-3
MASK_FREE = ("finetune", "finetune-new-head")
GAPS = ("envelope", *MASK_FREE)


@dataclass(frozen=True)
class Audited:
    """A release and its audited figures.

    Attributes:
        folder: of the release.
        release: loaded from there.
        subject: what it was in the audit: `release`, `unprotected`, `magnitude` or `random`.
        target: the domain it was audited on.
        group: releases of one group can be compared: same source, target, architecture, protocol.
        gaps: SLC-AUC of the mask-free attacks that were made on it, and of the `envelope` if both
            the release and this subject had the same attacks to choose from, but for those that
            keep a mask.
    """

    folder: Path
    release: Release
    subject: str
    target: Domain
    group: str
    gaps: dict[str, float]


def find(places: list[str]) -> list[tuple[Path, Path]]:
    """Folders of releases and of their audits.

    Args:
        places: `RELEASE:AUDIT` each, or a folder that holds `release` and a finished `audit`, as
            experiments leave it, or a folder of such folders. The unprotected model that is kept
            beside a `release` counts as well.

    Raises:
        SettingsError: a place is none of these.
    """
    found = []
    for place in places:
        release, colon, audit = place.rpartition(":")
        if colon:
            found.append((Path(release), Path(audit)))
            continue
        folder = Path(place)
        inside = sorted(folder.iterdir()) if folder.is_dir() else []
        runs = [one for one in (folder, *inside) if (one / "audit" / "report.json").is_file()]
        if not runs:
            raise SettingsError(
                f"{place} holds no release/ with a finished audit/ beside it: give a folder that "
                "does, or RELEASE:AUDIT"
            )
        for run in runs:
            found.append((run / "release", run / "audit"))
            if owner_folder(run / "release").is_dir():
                found.append((owner_folder(run / "release"), run / "audit"))
    return found


def read(folder: Path, audit: Path, root: Path | None = None) -> Audited:
    """The release in `folder` and what `audit/report.json` says of it.

    Args:
        folder: of the release, or of a control of that audit.
        audit: folder of the audit.
        root: where domains lie; `NTPRUNE_DATA` if not given.

    Raises:
        AuditError: there is no audit, or one that is not finished or damaged.
        SettingsError: the report speaks of another file.
        DataInvalidError: the target's data is not what was audited.
    """
    report = load_audit(audit).report
    release = load(folder)
    subject, found = _subject(folder, release, report)
    gaps = {name: found.attacks[name].slc_auc for name in MASK_FREE if name in found.attacks}
    if _may_drop_the_mask(found.attacks) == _may_drop_the_mask(report.attacks):
        gaps["envelope"] = found.envelope.slc_auc
    target = domain(report.target, root)
    claim = audit / "audit.json"
    if claim.is_file():
        require_content(target, json.loads(claim.read_bytes())["target"], str(audit))
    spec = release.model.spec
    network = f"{spec.architecture} {spec.width or ''}".strip()
    return Audited(
        folder=folder,
        release=release,
        subject=subject,
        target=target,
        group=f"{report.source.name} → {report.target}, {network} at {spec.preprocessing.size}, "
        f"{report.protocol}",
        gaps=gaps,
    )


def _may_drop_the_mask(attacks: Iterable[str]) -> set[str]:
    return {name for name in attacks if attack_class(procedure(name)).threat.mask != "kept"}


def _subject(folder: Path, release: Release, report: Report) -> tuple[str, Control | Report]:
    card = release.card
    if card.weights_sha256 == report.release["weights_sha256"]:
        return "release", report
    name = "unprotected" if card.method == "none" else card.method
    control = report.controls.get(name)
    if control is None or abs(control.source - card.source.test) > _SAME_ACCURACY:
        raise SettingsError(
            f"{folder} is neither the release that was audited nor a control of that audit: give "
            "the folders that belong together"
        )
    return name, control
