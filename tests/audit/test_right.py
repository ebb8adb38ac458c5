"""What a job says of single images comes back as it was."""

from __future__ import annotations

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ntprune.audit.right import drop_interval, packed, unpacked
from ntprune.metrics import paired_share_interval


@given(st.lists(st.booleans(), min_size=1, max_size=40))
def test_it_comes_back(right: list[bool]) -> None:
    found = json.loads(json.dumps(packed(torch.tensor(right))))
    assert unpacked(found).tolist() == right


def test_the_loss_is_of_the_first_and_in_points() -> None:
    before, after = torch.arange(100) < 95, torch.arange(100) < 85
    low, high = drop_interval(packed(before), packed(after))
    assert 0 < low < 10 < high
    wanted = paired_share_interval(before.tolist(), after.tolist())
    assert (low / 100, high / 100) == pytest.approx(wanted, abs=1e-6)
