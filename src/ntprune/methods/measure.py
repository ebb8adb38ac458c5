"""What a model has on its source, and what may be compared with it."""

from __future__ import annotations

from collections.abc import Sequence

from ntprune.domains import Domain, require_content
from ntprune.engine import Resident, accuracy
from ntprune.errors import DataInvalidError
from ntprune.models import Model
from ntprune.release import Card, Release, SourceRecord
from ntprune.release.card import versions
from ntprune.sparsity import MaskSet


def measure(model: Model, source: Domain) -> SourceRecord:
    """Accuracy of `model` on the validation and the test split of its source."""
    parts = [
        accuracy(model, Resident.of(split, model.preprocessing, model.device))
        for split in (source.owner_validation, source.test)
    ]
    return SourceRecord(
        name=source.name, content_hash=source.content_hash, validation=parts[0], test=parts[1]
    )


def unprotected(model: Model, source: Domain, seed: int) -> Release:
    """`model` as a release of method `none`."""
    model = model.copy().to("cpu")
    model.module.eval()
    masks = MaskSet.keep_all(model.prunable())
    card = Card(
        method="none",
        settings={},
        model=model.spec,
        source=measure(model, source),
        sparsity=0.0,
        layers=masks.per_layer(),
        steps=0,
        seed=seed,
        versions=versions(),
    )
    return Release(model, masks, card)


def check_fit(given: Release, source: Domain, targets: Sequence[Domain]) -> None:
    """Refuse a source that the model was not trained on, and a target that is the source."""
    classes = given.model.spec.classes
    if source.classes != classes:
        raise DataInvalidError(
            f"source '{source.name}' has classes {', '.join(source.classes)} and the model has "
            f"{', '.join(classes)}: give the source the model was trained on"
        )
    require_content(source, given.card.source.content_hash, "the model's card")
    for target in targets:
        if target.name == source.name or target.content_hash == source.content_hash:
            raise DataInvalidError(
                f"target '{target.name}' is the source itself: a model can't be kept and ruined "
                "on the same data; name another target"
            )
