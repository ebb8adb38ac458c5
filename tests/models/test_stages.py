"""The deepest part of an encoder."""

from __future__ import annotations

import pytest
from torch import nn
from torchvision.models import resnet18

from ntprune.models import last_stage


@pytest.mark.parametrize(
    ("encoder", "expected"),
    [
        (nn.Sequential(nn.Linear(2, 2), nn.ReLU()), ["0"]),
        (nn.Linear(2, 2), [""]),
        (
            nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 2, 3), nn.BatchNorm2d(2)),
            ["2", "3"],
        ),
        (nn.Sequential(nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2))), ["0.2"]),
        (nn.Sequential(*list(resnet18(num_classes=2).children())[:-2]), ["7"]),
    ],
    ids=["one layer", "a layer", "sequence", "nested", "resnet18"],
)
def test_where_the_last_stage_begins(encoder: nn.Module, expected: list[str]) -> None:
    assert last_stage(encoder) == expected
