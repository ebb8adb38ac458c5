"""Every architecture through one table: two views on one plain module."""

from __future__ import annotations

from functools import lru_cache

import pytest
import torch
from torch import nn

from ntprune.errors import ModelMismatchError, UnknownNameError
from ntprune.models import Model, ModelSpec, Preprocessing, architecture_names
from ntprune.models.registry import Parts

# Architecture, channels, size, stem, features of one image.
TABLE = [
    ("convnet", 1, 8, "small", (16, 2, 2)),
    ("convnet", 3, 16, "small", (16, 4, 4)),
    ("resnet18", 1, 16, "small", (512, 2, 2)),
    ("resnet18", 3, 16, "small", (512, 2, 2)),
    ("resnet18", 1, 64, "imagenet", (512, 2, 2)),
    ("resnet18", 3, 64, "imagenet", (512, 2, 2)),
    ("resnet50", 3, 16, "small", (2048, 2, 2)),
    ("vgg11", 1, 32, "small", (512, 1, 1)),
    ("vgg11", 3, 32, "small", (512, 1, 1)),
    ("vgg11_bn", 1, 32, "small", (512, 1, 1)),
    ("vgg11_bn", 3, 32, "small", (512, 1, 1)),
    ("vgg13", 3, 32, "small", (512, 1, 1)),
    ("vgg13_bn", 1, 32, "small", (512, 1, 1)),
]
CLASSES = ("a", "b", "c")


def spec(name: str, channels: int, size: int, stem: str) -> ModelSpec:
    return ModelSpec.model_validate(
        {
            "architecture": name,
            "classes": CLASSES,
            "stem": stem,
            "width": 4 if name == "convnet" else None,
            "preprocessing": Preprocessing(
                channels=channels, size=size, mean=(0.5,) * channels, std=(0.25,) * channels
            ),
        }
    )


@lru_cache(maxsize=1)
def network(name: str, channels: int, size: int, stem: str) -> Model:
    model = Model.fresh(spec(name, channels, size, stem), seed=1)
    model.module.eval()
    return model


def images(model: Model) -> torch.Tensor:
    pre = model.preprocessing
    draw = torch.Generator().manual_seed(0)
    shape = (2, pre.channels, pre.size, pre.size)
    return torch.randint(256, shape, generator=draw).to(torch.uint8)


def test_the_table_has_every_architecture() -> None:
    own = {name for name in architecture_names() if not name.startswith("test-")}
    assert own == {row[0] for row in TABLE}


# One test a network: what is big is built once.
@pytest.mark.parametrize(("name", "channels", "size", "stem", "shape"), TABLE)
def test_two_views_on_one_module(
    name: str, channels: int, size: int, stem: str, shape: tuple[int, ...]
) -> None:
    model = network(name, channels, size, stem)
    batch = images(model)
    with torch.no_grad():
        x = model.preprocessing.normalise(batch)
        whole, features = model.module(x), model.encode(batch)
        assert features.shape[1:] == shape
        assert whole.shape == (2, 3)
        assert torch.isfinite(whole).all()
        torch.testing.assert_close(model.head(model.encoder(x)), whole)
        torch.testing.assert_close(model(batch), whole)

    named = dict(model.module.named_parameters())
    encoder = dict(model.encoder_parameters())
    head = {id(p) for p in model.head.parameters()}
    assert head
    assert {n for n, p in named.items() if id(p) not in head} == set(encoder)
    assert all(named[n] is p for n, p in encoder.items())
    assert list(encoder) == [n for n in named if n in encoder]
    prunable = model.prunable()
    assert set(prunable) == {n for n, p in encoder.items() if p.dim() >= 2}
    assert all(p.dim() == 4 for p in prunable.values())


@pytest.mark.parametrize(
    ("name", "channels", "size", "stem"),
    [("convnet", 1, 8, "small"), ("resnet18", 3, 16, "small")],
)
def test_copies_and_new_heads(name: str, channels: int, size: int, stem: str) -> None:
    model = network(name, channels, size, stem)
    batch = images(model)
    before = {k: v.clone() for k, v in model.module.state_dict().items()}
    with torch.no_grad():
        logits = model(batch)

        twin = model.copy()
        assert torch.equal(twin(batch), logits)
        assert twin.module.training == model.module.training
        inside = {id(p) for p in twin.module.parameters()}
        assert {id(p) for p in (*twin.encoder.parameters(), *twin.head.parameters())} == inside
        for parameter in twin.module.parameters():
            parameter.add_(1)
        assert not torch.allclose(twin.head(twin.encode(batch)), logits)

        other = model.new_head(("v", "w", "x", "y", "z"), seed=3)
        other.module.eval()
        assert other.spec.classes == ("v", "w", "x", "y", "z")
        assert other(batch).shape == (2, 5)
        assert torch.equal(other.encode(batch), model.encode(batch))
        assert not {id(p) for p in other.module.parameters()} & {
            id(p) for p in model.module.parameters()
        }
        again, differs = (model.new_head(CLASSES, seed) for seed in (3, 4))
        fresh = list(model.new_head(CLASSES, 3).head.parameters())
        assert all(torch.equal(a, b) for a, b in zip(again.head.parameters(), fresh, strict=True))
        assert not torch.equal(next(again.head.parameters()), next(differs.head.parameters()))
        assert not torch.equal(next(again.head.parameters()), next(model.head.parameters()))
    assert all(torch.equal(before[k], v) for k, v in model.module.state_dict().items())


def test_resnet18_with_the_imagenet_stem_is_torchvisions_own() -> None:
    from torchvision.models import resnet18

    ours, theirs = network("resnet18", 3, 64, "imagenet"), resnet18(num_classes=3).eval()
    shapes = {k: tuple(v.shape) for k, v in theirs.state_dict().items()}
    assert {k: tuple(v.shape) for k, v in ours.module.state_dict().items()} == shapes
    theirs.load_state_dict(ours.module.state_dict())
    batch = images(ours)
    with torch.no_grad():
        plain = theirs(ours.preprocessing.normalise(batch).contiguous())
        torch.testing.assert_close(ours(batch), plain, atol=1e-4, rtol=1e-4)


def test_weights_depend_on_the_seed_alone() -> None:
    wanted = spec("convnet", 1, 8, "small")
    before = torch.random.get_rng_state()
    one, again, other = (Model.fresh(wanted, seed).module.state_dict() for seed in (1, 1, 2))
    assert torch.equal(before, torch.random.get_rng_state())
    torch.manual_seed(99)
    late = Model.fresh(wanted, 1).module.state_dict()
    assert all(torch.equal(one[k], again[k]) and torch.equal(one[k], late[k]) for k in one)
    assert not torch.equal(one["features.0.weight"], other["features.0.weight"])


def test_the_width_is_the_first_stages() -> None:
    model = network("convnet", 1, 8, "small")
    assert [p.shape[0] for p in model.prunable().values()] == [4, 4, 8, 8, 16, 16]


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'resnet18'"):
        Model.fresh(spec("resnet81", 1, 8, "small"), 0)


def test_an_encoder_without_matrices_is_refused() -> None:
    encoder, head = nn.BatchNorm2d(1), nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    model = Model(
        Parts(nn.Sequential(encoder, head), encoder, head), spec("convnet", 1, 8, "small")
    )
    with pytest.raises(ModelMismatchError, match="nothing can be pruned"):
        model.prunable()
