"""A module of one's own: accepted, or refused with the reason."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune
from torchvision.ops import FrozenBatchNorm2d

from ntprune.errors import ModelMismatchError, SettingsError
from ntprune.models import Model, Preprocessing, registry, wrap

PRE = Preprocessing(channels=1, size=8, mean=(0.5,), std=(0.25,))


class Own(nn.Module):
    def __init__(self, between: Callable[[Tensor], Tensor] | None = None) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 4, 3, stride=2, padding=1),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(64, 10),
        )
        self.tail = nn.Sequential(nn.ReLU(), nn.Linear(10, 6), nn.ReLU(), nn.Linear(6, 3))
        self.between = between

    def forward(self, x: Tensor) -> Tensor:
        features = self.body(x)
        if self.between is not None:
            features = self.between(features)
        logits: Tensor = self.tail(features)
        return logits


def wrapped(module: nn.Module, **changes: object) -> Model:
    fields = {"encoder": "body", "head": "tail", "classes": ("a", "b", "c"), "preprocessing": PRE}
    return wrap(module, **(fields | changes))  # type: ignore[arg-type]


def test_it_stays_the_module_it_was() -> None:
    module = Own()
    before = copy.deepcopy(module.state_dict())
    module.train()
    model = wrapped(module)
    assert model.module is module
    assert module.training
    assert list(module.state_dict()) == list(before)
    assert all(torch.equal(before[k], v) for k, v in module.state_dict().items())
    assert list(model.prunable()) == ["body.0.weight", "body.4.weight"]
    assert model.spec.architecture.startswith("own-")
    batch = torch.randint(256, (2, 1, 8, 8)).to(torch.uint8)
    module.eval()
    torch.testing.assert_close(model(batch), module(PRE.normalise(batch)))


def test_it_can_be_made_afresh_and_given_other_heads() -> None:
    torch.manual_seed(0)
    module = Own()
    model = wrapped(module, name="mine")
    one, again, other = (Model.fresh(model.spec, seed) for seed in (1, 1, 2))
    for key, value in one.module.state_dict().items():
        assert torch.equal(value, again.module.state_dict()[key])
    first = "body.0.weight"
    assert not torch.equal(one.module.state_dict()[first], other.module.state_dict()[first])
    assert not torch.equal(one.module.state_dict()[first], module.state_dict()[first])
    five = model.new_head(("v", "w", "x", "y", "z"), seed=1)
    assert five.module.tail[3].out_features == 5
    for key, value in five.module.body.state_dict().items():
        assert torch.equal(value, module.body.state_dict()[key])
    assert module.tail[3].out_features == 3


def test_later_training_does_not_reach_the_blueprint() -> None:
    module = Own()
    model = wrapped(module)
    with torch.no_grad():
        module.body[1].running_mean.fill_(50)
    assert float(Model.fresh(model.spec, 0).module.body[1].running_mean.abs().max()) == 0


class Talkative(Own):
    """Returns its logits under a name, as language models' networks do."""

    def forward(self, x: Tensor) -> Tensor:
        return {"logits": super().forward(x)}  # type: ignore[return-value]


class Fixed(nn.Module):
    """Its rule sets one value, as that of a blur does, and one parameter is empty."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.empty(64), requires_grad=False)
        self.none = nn.Parameter(torch.empty(0))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        self.kernel.copy_(torch.arange(64) / 64)

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1) * self.kernel


def test_what_a_rule_sets_to_a_value_keeps_it() -> None:
    module = Own()
    module.body = nn.Sequential(Fixed(), nn.Linear(64, 10))
    fresh = Model.fresh(wrapped(module, name="fixed").spec, 5).module
    assert torch.equal(fresh.body[0].kernel, torch.arange(64) / 64)


class Raw(nn.Module):
    """Keeps parameters that no layer resets, as vision transformers do."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.randn(64))

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1) + self.token


def test_a_fresh_network_holds_nothing_that_was_learnt() -> None:
    """Scratch is the yardstick: a learnt parameter left in it would fake the audit."""
    torch.manual_seed(0)
    module = Own()
    module.body = nn.Sequential(Raw(), nn.Unflatten(1, (4, 16)), Attention(), nn.Linear(64, 10))
    model = wrapped(module, name="raw")
    old = dict(module.named_parameters())
    fresh, again = (dict(Model.fresh(model.spec, 5).module.named_parameters()) for _ in range(2))
    matrices = [n for n, p in fresh.items() if p.std() > 0]
    assert {"body.0.token", "body.2.inner.in_proj_weight"} <= set(matrices)
    assert all(torch.equal(fresh[n], again[n]) for n in fresh)
    assert [n for n in matrices if torch.equal(fresh[n], old[n])] == []


def test_buffers_that_were_learnt_are_forgotten() -> None:
    module = Own()
    module.body[1] = FrozenBatchNorm2d(4)
    for buffer in module.body[1].buffers():
        buffer.fill_(7)
    norm = Model.fresh(wrapped(module, name="frozen-norm").spec, 5).module.body[1]
    found = {name: float(buffer.mean()) for name, buffer in norm.named_buffers()}
    assert found == {"weight": 1, "bias": 0, "running_mean": 0, "running_var": 1}


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.MultiheadAttention(16, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x, x, x)[0].flatten(1)


class Viewing(nn.Module):
    """Takes feature maps apart by `view`, as LeNets do, which channels last has no stride for."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU())
        self.tail = Tail()

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.tail(self.body(x))
        return logits


class Tail(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(256, 3)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.last(x.view(x.size(0), -1))
        return logits


def parts_of(net: Viewing) -> registry.Parts:
    return registry.Parts(net, net.body, net.tail)


def test_a_network_that_takes_maps_apart_by_view() -> None:
    module = Viewing()
    model = wrapped(module, name="viewing")
    batch = torch.randint(256, (3, 1, 8, 8)).to(torch.uint8)
    plain = module(PRE.normalise(batch, torch.contiguous_format))
    torch.testing.assert_close(model(batch), plain)
    for other in (model.copy(), model.new_head(("a", "b"), 0), Model.fresh(model.spec, 0)):
        assert other(batch).shape[0] == 3
    registry.register_architecture("a viewing builder", lambda spec: parts_of(Viewing()))
    spec = model.spec.model_copy(update={"architecture": "a viewing builder"})
    assert Model.fresh(spec, 0)(batch).shape == (3, 3)
    assert (
        wrapped(Own(), name="not viewing")
        .read(batch)
        .is_contiguous(memory_format=torch.channels_last)
    )


def test_what_stands_in_for_a_weight_is_forgotten_too() -> None:
    torch.manual_seed(0)
    module = Own()
    module.body[0] = nn.utils.spectral_norm(module.body[0])
    module.tail[1] = nn.utils.spectral_norm(module.tail[1])
    model = wrapped(module, name="spectral")
    old = dict(module.named_parameters())
    fresh = dict(Model.fresh(model.spec, 5).module.named_parameters())
    matrices = [name for name, p in old.items() if p.dim() > 1 and p.numel() > p.shape[0]]
    assert len(matrices) == 4
    assert [name for name in matrices if torch.equal(old[name], fresh[name])] == []


def normed(norm: Callable[[nn.Module], nn.Module]) -> nn.Module:
    module = Own()
    module.body[0] = norm(module.body[0])
    return module


def counting() -> nn.Module:
    module = Own()
    count = nn.Parameter(torch.zeros(1, dtype=torch.int64), requires_grad=False)
    module.body.register_parameter("count", count)
    return module


def followed(last: nn.Module) -> nn.Module:
    """A network with something behind its classifier."""
    module = Own()
    module.tail.append(last)
    return module


class Gated(nn.Module):
    """Logits times what a second layer says of them."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(3, 1)

    def forward(self, logits: Tensor) -> Tensor:
        return logits * self.gate(logits).sigmoid()


class Paired(nn.Module):
    """The head unpacks what the encoder returns."""

    class Body(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(64, 4)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return self.layer(x.flatten(1)), x

    class Tail(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 3)

        def forward(self, features: tuple[Tensor, Tensor]) -> Tensor:
            logits: Tensor = self.layer(features[0])
            return logits

    def __init__(self) -> None:
        super().__init__()
        self.body, self.tail = self.Body(), self.Tail()

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.tail(self.body(x))
        return logits


def test_a_head_that_is_one_layer() -> None:
    module = nn.Sequential()
    module.add_module("body", nn.Flatten())
    module.add_module("tail", nn.Linear(64, 3))
    model = wrapped(module)
    assert model.new_head(("a", "b"), 0).module.tail.out_features == 2


@pytest.mark.parametrize(
    ("make", "changes", "words"),
    [
        (Own, {"encoder": "trunk"}, "no part 'trunk'.*body, tail"),
        (Own, {"head": ""}, "no part ''"),
        (Own, {"head": "tail.0"}, r"no nn\.Linear"),
        (lambda: Own(torch.relu_), {"head": "tail.3"}, "cannot read|differs"),
        (lambda: Own(lambda f: 2 * f + 1), {}, "differs from module"),
        (Own, {"classes": ("a", "b")}, "3 outputs and 2 classes"),
        (Own, {"classes": ("a",)}, "classes a: name at least two, each once"),
        (Own, {"classes": ("a", "b", "a")}, "classes a, b, a: name at least two, each once"),
        (lambda: normed(nn.utils.weight_norm), {}, "layer 'body.0' computes its weight from"),
        (lambda: normed(nn.utils.parametrizations.weight_norm), {}, "remove_parametrizations"),
        (
            lambda: normed(lambda layer: prune.l1_unstructured(layer, "weight", 0.5)),
            {},
            "layer 'body.0' keeps in 'weight' a tensor that was computed.*prune.remove",
        ),
        (lambda: followed(nn.BatchNorm1d(3)), {}, r"the last nn\.Linear .* the last word"),
        (lambda: followed(Gated()), {}, r"the last nn\.Linear .* the last word"),
        (lambda: counting(), {}, "parameter 'body.count' is torch.int64, expected floating"),
        (lambda: Paired(), {}, "the encoder returns tuple, expected one tensor"),
        (lambda: Talkative(), {}, r"module returns dict, expected logits"),
        (
            Own,
            {"preprocessing": Preprocessing(channels=3, size=8, mean=(0.5,) * 3, std=(0.2,) * 3)},
            "cannot read 3×8×8",
        ),
        (
            Own,
            {"preprocessing": Preprocessing(channels=1, size=20, mean=(0.5,), std=(0.2,))},
            "cannot read 1×20×20",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")
def test_what_does_not_fit_is_refused(
    make: Callable[[], nn.Module], changes: dict[str, object], words: str
) -> None:
    known = registry.architecture_names()
    module = make()
    module.train()
    with pytest.raises(ModelMismatchError, match=words):
        wrapped(module, **changes)
    assert module.training
    assert registry.architecture_names() == known


def test_a_name_that_is_taken_is_refused() -> None:
    with pytest.raises(SettingsError, match="'convnet' is registered already"):
        wrapped(Own(), name="convnet")


def test_the_last_of_two_under_one_name_counts() -> None:
    """As where a cell of a notebook is run again, after a change or without one."""
    wrapped(Own(), name="twice")
    last = wrapped(Own(torch.relu), name="twice")
    assert Model.fresh(last.spec, seed=0).module.between is torch.relu


def test_two_networks_of_one_class_keep_apart() -> None:
    """Else new heads of the first would be put on the second, silently where shapes agree."""
    other, wider = Own(), Own()
    other.body[2] = nn.Tanh()
    wider.tail[3] = nn.Linear(6, 5)
    first, second = wrapped(Own()), wrapped(other)
    assert isinstance(first.new_head(("x", "y"), 0).module.get_submodule("body.2"), nn.ReLU)
    assert isinstance(second.new_head(("x", "y"), 0).module.get_submodule("body.2"), nn.Tanh)
    again, more = wrapped(Own()), wrapped(wider, classes=("a", "b", "c", "d", "e"))
    names = [model.spec.architecture for model in (first, again, more, second)]
    assert len(set(names[:3])) == 1
    assert names[3] != names[0]
