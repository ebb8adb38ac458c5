"""Passes over the data, and the head that is fitted once."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from ntprune.domains import Domain
from ntprune.engine import Resident
from ntprune.methods.defence import TargetData
from ntprune.methods.paper.batches import one_pass
from ntprune.methods.paper.head import PaperHead
from ntprune.methods.paper.settings import PaperSettings
from ntprune.models import Model
from ntprune.release import Release


def numbered(count: int) -> Resident:
    """Images of one pixel that are their own labels."""
    labels = torch.arange(count)
    return Resident(labels.to(torch.uint8).view(-1, 1, 1, 1), labels)


def test_a_pass_ends_with_the_shorter_set_in_equal_batches() -> None:
    draw = torch.Generator().manual_seed(0)
    passes = [list(one_pass([numbered(30), numbered(11)], 4, draw)) for _ in range(2)]
    for batches in passes:
        assert [[len(labels) for _, labels in step] for step in batches] == [[4, 4], [4, 4], [3, 3]]
        for images, labels in (part for step in batches for part in step):
            assert images.flatten().tolist() == labels.tolist()
        long, short = (torch.cat([step[i][1] for step in batches]).tolist() for i in (0, 1))
        assert sorted(short) == list(range(11))
        assert len(set(long)) == 11
    first, second = (torch.cat([step[1][1] for step in batches]).tolist() for batches in passes)
    assert first != second


def test_an_image_left_alone_is_dropped() -> None:
    draw = torch.Generator().manual_seed(0)
    assert [len(labels) for ((_, labels),) in one_pass([numbered(9)], 4, draw)] == [4, 4]


@pytest.fixture
def model(tiny_base: Release) -> Model:
    return tiny_base.model.copy()


def target(domain: Domain, model: Model) -> TargetData:
    train, validation = (
        Resident.of(split, model.preprocessing, model.device)
        for split in (domain.train, domain.validation)
    )
    return TargetData(domain.name, train, validation, domain.classes)


def test_it_starts_as_the_released_head_and_leaves_the_encoder_alone(
    model: Model, tiny_target: Domain
) -> None:
    before = {name: value.clone() for name, value in model.module.state_dict().items()}
    head = PaperHead(model, target(tiny_target, model), PaperSettings(batch=32), seed=0)
    for mine, theirs in zip(head.head.parameters(), model.head.parameters(), strict=True):
        assert torch.equal(mine, theirs)
        assert mine.data_ptr() != theirs.data_ptr()
    head.fit(model)
    assert all(torch.equal(before[n], value) for n, value in model.module.state_dict().items())
    assert not any(p.requires_grad for p in head.head.parameters())
    weights = [p.clone() for p in head.head.parameters()]
    head.fit(model)  # and it can be fitted again
    assert not torch.equal(weights[0], next(head.head.parameters()))


def test_the_loss_it_returns_is_the_one_on_validation(model: Model, tiny_other: Domain) -> None:
    data = target(tiny_other, model)
    short, long = (
        PaperHead(model, data, PaperSettings(batch=32, lr=0.01, head_epochs=n), seed=0)
        for n in (1, 8)
    )
    assert long.classes == 3
    early, reached = short.fit(model), long.fit(model)
    assert reached < early
    model.module.eval()
    with torch.no_grad():
        logits = long(model.encode(data.validation.images))
    assert float(F.cross_entropy(logits, data.validation.labels)) == pytest.approx(reached)


def test_patience(model: Model, tiny_target: Domain, monkeypatch: pytest.MonkeyPatch) -> None:
    passes = []
    monkeypatch.setattr(PaperHead, "_descend", lambda self, *_: passes.append(self))
    head = PaperHead(model, target(tiny_target, model), PaperSettings(), seed=0)
    head.fit(model)  # nothing is learnt, so nothing improves after the first pass
    assert len(passes) == 1 + 5
