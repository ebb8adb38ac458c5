"""Does a release hold what its card says?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ntprune.domains import Domain, require_content
from ntprune.engine import Resident, accuracy
from ntprune.errors import DataInvalidError, ReleaseInvalidError
from ntprune.release.card import Card
from ntprune.release.files import load
from ntprune.release.release import Release
from ntprune.sparsity import MaskSet


@dataclass(frozen=True)
class Checked:
    """What `check` found.

    Attributes:
        sparsity: share of prunable weights that are exactly zero in the file.
        test: source test accuracy measured now (0 to 1), `None` without data.
    """

    sparsity: float
    test: float | None


def check(
    path: str | Path,
    source: Domain | None = None,
    device: torch.device | str = "cpu",
    tolerance: float = 0.001,
) -> Checked:
    """Verify hashes, masks, sparsity and, with `source`, the accuracy on the card.

    Args:
        path: release folder.
        source: the domain named on the card.
        tolerance: accepted difference in accuracy (0 to 1); other hardware rounds differently.

    Raises:
        ReleaseInvalidError: something on the card does not hold.
        DataInvalidError: `source` is not the data that the card was measured on.
    """
    release = load(path, device)
    card = release.card
    found = check_zeros(path, release)
    if source is None:
        return Checked(found, None)
    require_source(card, source)
    data = Resident.of(source.test, release.model.preprocessing, release.model.device)
    measured = accuracy(release.model, data)
    if abs(measured - card.source.test) > tolerance:
        raise ReleaseInvalidError(
            f"{path}: the card claims {100 * card.source.test:.2f} % on the source test split, "
            f"measured {100 * measured:.2f} %"
        )
    return Checked(found, measured)


def require_source(card: Card, source: Domain) -> None:
    """Refuse a source that isn't the one on the card, or that has other classes.

    Whoever renames the classes takes the attacks that keep the head away from a thief.

    Raises:
        DataInvalidError: it is or has.
    """
    require_content(source, card.source.content_hash, "the release's card")
    if source.classes != card.model.classes:
        raise DataInvalidError(
            f"the card names the classes {', '.join(card.model.classes)}, '{source.name}' has "
            f"{', '.join(source.classes)}: restore the card from the original release"
        )


# Weights may be zero by themselves; more of them than this are a mask that isn't shown.
_UNSHOWN = 0.01
# And what is smaller than this share of its layer's typical weight is a zero by another name.
_NOTHING = 1e-6


def check_zeros(path: str | Path, release: Release) -> float:
    """Verify that masks, zeros and the sparsity on the card are the same thing.

    An audit prunes its controls to that sparsity and hands the masks to thieves who keep them, so
    neither may be what the seller likes to say.

    Args:
        path: for messages.
        release: as loaded.

    Returns:
        The share of prunable weights that are exactly zero.

    Raises:
        ReleaseInvalidError: they are not.
    """
    card, prunable = release.card, release.model.prunable()
    inside = {name for name, _ in release.model.encoder_parameters()}
    if not set(prunable) <= set(release.masks) <= inside:
        raise ReleaseInvalidError(
            f"{path}: the masks are not those of the prunable weights and of others of the encoder"
        )
    if not release.masks.holds(release.model.module):
        raise ReleaseInvalidError(f"{path}: a masked weight is not zero in the file")
    found = MaskSet.from_zeros(prunable).sparsity
    masked = release.masks.only(prunable).sparsity
    if found + 1e-9 < card.sparsity or abs(masked - card.sparsity) > 1e-9:
        raise ReleaseInvalidError(
            f"{path}: the card claims sparsity {card.sparsity:.4f}, the file has {found:.4f}"
        )
    hidden = found if card.method == "none" else _as_good_as_zero(prunable)
    if hidden > masked + _UNSHOWN:
        raise ReleaseInvalidError(
            f"{path}: {100 * hidden:.1f} % of the weights are zero or next to it, the masks cover "
            f"{100 * masked:.1f} %: release it with the masks that it was pruned by"
        )
    return found


def _as_good_as_zero(weights: Mapping[str, Tensor]) -> float:
    """Share (0 to 1) of all weights that are next to nothing beside the rest of their layer."""
    small = total = 0
    for weight in weights.values():
        sizes = weight.detach().cpu().double().abs()  # Apple's devices have no float64
        small += int((sizes <= _NOTHING * sizes.square().mean().sqrt()).sum())
        total += sizes.numel()
    return small / total
