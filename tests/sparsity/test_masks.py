"""Masks: what they zero stays zero, whatever happens to the module or to them."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn

from ntprune.errors import ModelMismatchError
from ntprune.sparsity import MaskSet


def net(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3)).to(
        memory_format=torch.channels_last
    )


def half(module: nn.Module, seed: int = 0) -> MaskSet:
    draw = torch.Generator().manual_seed(seed)
    return MaskSet(
        {
            name: torch.rand(p.shape, generator=draw) < 0.5
            for name, p in module.named_parameters()
            if p.dim() >= 2
        }
    )


def weights_and_moments(
    module: nn.Module, masks: MaskSet, optimiser: torch.optim.Optimizer
) -> list[torch.Tensor]:
    found = dict(module.named_parameters())
    values = []
    for name, mask in masks.items():
        values.append(found[name].detach()[~mask])
        for state in optimiser.state[found[name]].values():
            if state.shape == mask.shape:
                values.append(state[~mask])
    return values


def step(module: nn.Module, optimiser: torch.optim.Optimizer, draw: torch.Generator) -> None:
    images, labels = torch.randn(8, 1, 8, 8, generator=draw), torch.arange(8) % 3
    optimiser.zero_grad()
    F.cross_entropy(module(images), labels).backward()
    optimiser.step()


OPTIMISERS = {
    "sgd": lambda p: torch.optim.SGD(
        p, lr=0.1, momentum=0.9, weight_decay=0.1, nesterov=True, fused=True
    ),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1, fused=True),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01, weight_decay=0.1, amsgrad=True),
}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_masked_weights_stay_zero_in_training_even_with_momentum_from_before(name: str) -> None:
    module = net()
    masks = half(module)
    optimiser = OPTIMISERS[name](module.parameters())
    draw = torch.Generator().manual_seed(3)
    for _ in range(3):  # momentum builds up while everything is dense
        step(module, optimiser, draw)
    masks.attach(module, optimiser)
    assert masks.holds(module)
    for _ in range(5):
        step(module, optimiser, draw)
        parts = weights_and_moments(module, masks, optimiser)
        assert len(parts) >= 4
        assert all(bool((part == 0).all()) for part in parts)
    kept = {n: p.detach()[masks[n]] for n, p in module.named_parameters() if n in masks}
    assert all(bool((part != 0).all()) for part in kept.values())


def test_kept_weights_train_as_if_the_masked_ones_were_not_there() -> None:
    one, other = net(), net()
    masks = half(one)
    masks.apply_(other)
    first, second = (torch.optim.SGD(m.parameters(), lr=0.1) for m in (one, other))
    masks.attach(one, first)
    step(one, first, torch.Generator().manual_seed(0))
    step(other, second, torch.Generator().manual_seed(0))
    for (name, mine), (_, theirs) in zip(
        one.named_parameters(), other.named_parameters(), strict=True
    ):
        mask = masks.get(name, torch.ones_like(mine, dtype=torch.bool))
        assert torch.equal(mine[mask], theirs[mask])


def test_detaching_lets_them_grow_again() -> None:
    module = net()
    masks = half(module)
    optimiser = torch.optim.SGD(module.parameters(), lr=0.1)
    detach = masks.attach(module, optimiser)
    draw = torch.Generator().manual_seed(0)
    step(module, optimiser, draw)
    assert masks.holds(module)
    detach()
    step(module, optimiser, draw)
    assert not masks.holds(module)


def test_attached_masks_survive_a_rollback_of_the_optimiser() -> None:
    module = net()
    masks = half(module)
    optimiser = OPTIMISERS["adamw"](module.parameters())
    dense = copy.deepcopy(module.state_dict())
    masks.attach(module, optimiser)
    draw = torch.Generator().manual_seed(0)
    step(module, optimiser, draw)
    good = copy.deepcopy(optimiser.state_dict())
    module.load_state_dict(dense)
    optimiser.load_state_dict(good)
    step(module, optimiser, draw)
    assert masks.holds(module)


def test_the_module_keeps_plain_parameters_and_its_keys() -> None:
    module = net()
    keys = list(module.state_dict())
    half(module).attach(module, torch.optim.SGD(module.parameters(), lr=0.1))
    assert list(module.state_dict()) == keys
    assert all(type(p) is nn.Parameter for p in module.parameters())
    assert half(copy.deepcopy(module)).keys() == half(module).keys()


@pytest.mark.parametrize("how", ["copy", "pickle", "to", "file"])
def test_masks_survive(how: str, tmp_path: Path) -> None:
    masks = half(net())
    if how == "copy":
        again = copy.deepcopy(masks)
    elif how == "pickle":
        again = pickle.loads(pickle.dumps(masks))
    elif how == "to":
        again = masks.to("cpu")
    else:
        save_file({n: m.contiguous() for n, m in masks.items()}, tmp_path / "masks.safetensors")
        again = MaskSet(load_file(tmp_path / "masks.safetensors"))
    assert list(again) == list(masks)
    assert all(torch.equal(again[n], masks[n]) for n in masks)
    assert again.zeros == masks.zeros > 0


def test_a_copied_moved_and_reloaded_module_takes_the_same_masks(tmp_path: Path) -> None:
    module = net()
    masks = half(module)
    masks.apply_(module)
    torch.save(module.state_dict(), tmp_path / "state.pt")
    loaded = net(seed=9)
    assert not masks.holds(loaded)
    loaded.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert masks.holds(loaded)
    assert masks.holds(copy.deepcopy(module))
    wide = net(seed=9).to(torch.float64)
    masks.apply_(wide)
    assert masks.holds(wide)
    assert next(wide.parameters()).dtype == torch.float64


def test_a_deep_copy_of_the_masks_is_independent() -> None:
    masks = half(net())
    twin = copy.deepcopy(masks)
    name = next(iter(masks))
    twin[name].fill_(False)
    assert bool(masks[name].any())


def test_counts() -> None:
    masks = MaskSet({"a": torch.tensor([[True, False], [False, False]]), "b": torch.ones(4, 4)})
    assert (masks.zeros, masks.total) == (3, 20)
    assert masks.sparsity == pytest.approx(0.15)
    assert masks.per_layer() == {"a": 0.75, "b": 0.0}
    assert MaskSet({}).sparsity == 0.0


def test_from_zeros_reads_what_apply_wrote() -> None:
    module = net()
    masks = half(module)
    masks.apply_(module)
    found = dict(module.named_parameters())
    again = MaskSet.from_zeros({n: found[n] for n in masks})
    assert all(torch.equal(again[n], masks[n]) for n in masks)


@pytest.mark.parametrize(
    ("masks", "words"),
    [
        ({"9.weight": torch.ones(2, 2)}, "'9.weight' \\(2×2\\).*found none"),
        ({"0.weight": torch.ones(4, 1, 2, 2)}, "4×1×2×2.*found 4×1×3×3"),
    ],
)
def test_masks_of_another_network_are_refused(masks: dict[str, torch.Tensor], words: str) -> None:
    module = net()
    before = copy.deepcopy(module.state_dict())
    with pytest.raises(ModelMismatchError, match=words):
        MaskSet(masks).apply_(module)
    assert all(torch.equal(before[k], v) for k, v in module.state_dict().items())


def test_a_choice_of_masks() -> None:
    masks = MaskSet({"a": torch.tensor([True, False]), "b": torch.zeros(4)})
    assert masks.sparsity == 5 / 6
    assert masks.only(["a"]).sparsity == 0.5
    assert list(masks.only(["b", "a"])) == ["b", "a"]
    with pytest.raises(KeyError):
        masks.only(["c"])
