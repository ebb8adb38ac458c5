"""Low-rank adaptation."""

from __future__ import annotations

import torch
from tests.attacks.thefts import pruned, state, steal

from ntprune.attacks.lora import Adapter, LoRA


def test_the_result_is_the_release_plus_updates_of_low_rank() -> None:
    before = state(pruned().model)
    after = state(steal("lora", pruned(), steps=30, lr=1e-2).model)
    prunable = pruned().model.prunable()
    assert list(before) == list(after)
    ranks = []
    for name, old in before.items():
        if name in prunable:
            delta = (after[name] - old).flatten(1)
            sizes = torch.linalg.svdvals(delta.double())
            ranks.append(int((sizes > 1e-5 * sizes[0]).sum()))
            assert ranks[-1] <= LoRA.RANK
        elif name.startswith("features") and "running" not in name and "tracked" not in name:
            assert torch.equal(old, after[name]), f"{name} is frozen"
    assert max(ranks) == LoRA.RANK
    assert not torch.equal(before["classifier.2.weight"], after["classifier.2.weight"])


def test_an_update_is_nothing_at_first_and_no_wider_than_the_weight() -> None:
    draw = torch.Generator().manual_seed(0)
    weight = torch.randn(3, 1, 1, 2, generator=draw)
    adapter = Adapter(weight, 4, draw)
    assert torch.equal(adapter(), weight)
    assert adapter.up.shape == (3, 2)
    assert not adapter.weight.requires_grad
