"""Re-estimated BatchNorm statistics are the exact mean over batches."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from ntprune.engine import (
    Resident,
    batchnorm,
    kept_statistics,
    rebase_statistics,
    rebased_layers,
    reestimate_batchnorm,
)
from ntprune.models import Model, ModelSpec, Preprocessing
from ntprune.models.registry import Parts

PRE = Preprocessing(channels=1, size=4, mean=(0.4,), std=(0.2,))


def network() -> Model:
    """Normalisation in the encoder, twice, and in the head; one layer that tracks nothing."""
    torch.manual_seed(0)
    encoder = nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1),
        nn.BatchNorm2d(3),
        nn.ReLU(),
        nn.Conv2d(3, 2, 3),
        nn.BatchNorm2d(2, momentum=0.3),
        nn.BatchNorm2d(2, track_running_stats=False),
    )
    head = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 2))
    module = nn.Sequential(encoder, head)
    return Model(
        Parts(module, encoder, head),
        ModelSpec(architecture="none", classes=("a", "b"), preprocessing=PRE),
    )


def images(count: int) -> Resident:
    draw = torch.Generator().manual_seed(1)
    pixels = torch.randint(256, (count, 1, 4, 4), generator=draw).to(torch.uint8)
    return Resident(pixels, torch.zeros(count, dtype=torch.int64))


def by_hand(model: Model, parts: list[Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
    """Mean over `parts` of the mean and unbiased variance of what each layer is fed."""
    twin = model.copy()
    fed: dict[str, list[Tensor]] = {}
    layers = {
        name: layer
        for name, layer in twin.module.named_modules()
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)
    }
    for name, layer in layers.items():
        layer.train()
        layer.register_forward_hook(
            lambda _, inputs, __, name=name: fed.setdefault(name, []).append(inputs[0].detach())
        )
    twin.module[1][2].eval()
    for part in parts:
        twin(part)
    found = {}
    for name, layer in layers.items():
        if layer.track_running_stats:
            rows = [x.transpose(0, 1).flatten(1) for x in fed[name]]
            found[name] = (
                torch.stack([row.mean(1) for row in rows]).mean(0),
                torch.stack([row.var(1) for row in rows]).mean(0),
            )
    return found


@pytest.mark.parametrize(
    ("count", "batch", "limit", "parts"),
    [
        (30, 10, 100, [(0, 10), (10, 20), (20, 30)]),
        (34, 10, 100, [(0, 10), (10, 20), (20, 30)]),  # a ragged last batch is left out
        (50, 10, 20, [(0, 10), (10, 20)]),
        (7, 10, 100, [(0, 7)]),
    ],
)
def test_the_exact_mean_over_batches(
    count: int, batch: int, limit: int, parts: list[tuple[int, int]]
) -> None:
    model, data = network(), images(count)
    wanted = by_hand(model, [data.images[a:b] for a, b in parts])
    reestimate_batchnorm(model, data, batch, limit)
    assert set(wanted) == {"0.1", "0.4", "1.1"}
    for name, (mean, variance) in wanted.items():
        layer = model.module.get_submodule(name)
        torch.testing.assert_close(layer.running_mean, mean)
        torch.testing.assert_close(layer.running_var, variance)
        assert int(layer.num_batches_tracked) == len(parts)


def test_a_few_large_images_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What batches differ by is a part of the variance, most of it where images differ as wholes.

    The first layer is fed the same whatever is looked at together, so its variance is that of all.
    """
    levels = torch.arange(0, 240, 8).to(torch.uint8)
    data = Resident(levels.view(-1, 1, 1, 1).expand(-1, 1, 4, 4).clone(), torch.zeros(30))
    whole, cut = network(), network()
    reestimate_batchnorm(whole, data, 30)
    monkeypatch.setattr(batchnorm, "at_once", lambda most, side: 3)
    reestimate_batchnorm(cut, data, 30)
    first, same = whole.module[0][1], cut.module[0][1]
    torch.testing.assert_close(same.running_mean, first.running_mean)
    torch.testing.assert_close(same.running_var, first.running_var, rtol=0.03, atol=0.0)


@pytest.mark.parametrize("training", [True, False])
def test_weights_momentum_and_mode_stay(training: bool) -> None:
    model = network()
    model.module.train(training)
    before = copy.deepcopy(dict(model.module.named_parameters()))
    reestimate_batchnorm(model, images(30), 10)
    assert all(torch.equal(before[n], p) for n, p in model.module.named_parameters())
    assert all(layer.training == training for layer in model.module.modules())
    assert [model.module[0][i].momentum for i in (1, 4)] == [0.1, 0.3]
    assert all(p.grad is None for p in model.module.parameters())


def test_what_was_there_before_is_forgotten() -> None:
    one, other = network(), network()
    other.module[0][1].running_mean.fill_(100)
    for model in (one, other):
        reestimate_batchnorm(model, images(30), 10)
    for mine, theirs in zip(one.module.buffers(), other.module.buffers(), strict=True):
        assert torch.equal(mine, theirs)


def test_a_network_without_normalisation_is_left_alone() -> None:
    encoder, head = nn.Sequential(nn.Conv2d(1, 1, 4)), nn.Sequential(nn.Flatten(), nn.Linear(1, 2))
    spec = ModelSpec(architecture="none", classes=("a", "b"), preprocessing=PRE)
    model = Model(Parts(nn.Sequential(encoder, head), encoder, head), spec)
    reestimate_batchnorm(model, images(5))
    assert model.module.training


def test_kept_statistics_are_those_of_instance_norm_too() -> None:
    layers = [
        nn.BatchNorm2d(2),
        nn.InstanceNorm2d(2, track_running_stats=True),
        nn.BatchNorm2d(2, track_running_stats=False),
    ]
    net = nn.Sequential(*layers)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with kept_statistics(net):
        net(torch.randn(4, 2, 3, 3) + 5)
    after = net.state_dict()
    assert all(torch.equal(before[n], after[n]) for n in before if "tracked" not in n)
    net(torch.randn(4, 2, 3, 3) + 5)
    assert not torch.equal(before["0.running_mean"], net.state_dict()["0.running_mean"])
    assert not torch.equal(before["1.running_mean"], net.state_dict()["1.running_mean"])


def test_a_norm_without_a_shift_cannot_make_up_for_other_statistics() -> None:
    model = network()
    plain = nn.BatchNorm2d(3)
    plain.register_parameter("bias", None)  # as of `bias=False`, which older torch has not
    model.encoder[1] = plain
    assert plain not in rebased_layers(model)
    assert len(rebased_layers(model)) == 2
    rebase_statistics(model, images(16).images)
    assert torch.equal(plain.running_mean, torch.zeros(3))
