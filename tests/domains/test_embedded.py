"""The domains that need no file: what they hold, and that it is always the same."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ntprune.domains import Domain, Split, domain
from ntprune.domains import registry as registry_module
from ntprune.domains.blended import _blend
from ntprune.domains.draws import generator
from ntprune.domains.glyphs import FONTS, atlas
from ntprune.domains.optdigits import scans
from ntprune.domains.syndigits import LUMA, _contrasting

SHAPES = {"optdigits": 1, "syndigits": 3, "blended:optdigits": 3, "blended:syndigits": 3}


def splits(loaded: Domain) -> tuple[Split, ...]:
    return loaded.train, loaded.validation, loaded.pool, loaded.test


def everything(loaded: Domain) -> Tensor:
    return torch.cat([split.images for split in splits(loaded)])


@pytest.mark.parametrize(("name", "channels"), SHAPES.items())
def test_shape_range_and_balance(name: str, channels: int) -> None:
    loaded = domain(name)
    assert (loaded.name, loaded.channels, loaded.size) == (name, channels, 16)
    assert (loaded.classes, loaded.flips) == (tuple("0123456789"), False)
    images = everything(loaded)
    assert images.dtype == torch.uint8
    assert int(images.min()) < 20
    assert int(images.max()) > 235
    for split in splits(loaded):
        counts = torch.bincount(split.labels, minlength=10)
        assert int(counts.max()) <= 1.4 * int(counts.min())


@pytest.mark.parametrize("name", SHAPES)
def test_made_twice_gives_the_same_bytes(name: str) -> None:
    first = domain(name).content_hash
    registry_module._load.cache_clear()
    assert domain(name).content_hash == first


@pytest.mark.parametrize("name", SHAPES)
def test_seed_moves_the_deal_but_not_the_test_images(name: str) -> None:
    first, second = domain(name), domain(name, seed=1)
    assert torch.equal(first.test.images, second.test.images)
    assert not torch.equal(first.pool.images, second.pool.images)
    assert int(everything(first).sum()) == int(everything(second).sum())


def test_syndigits_counts() -> None:
    for name in ("syndigits", "blended:syndigits"):
        loaded = domain(name)
        assert [len(split) for split in splits(loaded)] == [800, 200, 5000, 1500]


def test_plain_and_blended_optdigits_share_no_scan() -> None:
    from sklearn.datasets import load_digits

    def keys(split: Split | None) -> list[bytes]:
        assert split is not None
        return [image.numpy().tobytes() for image in split.images]

    plain, blended = scans("plain"), scans("blended")
    parts = [keys(part) for half in (plain, blended) for part in (half.rest, half.test)]
    originals = (load_digits().images * (255 / 16)).round().astype("uint8")
    dealt = sorted(key for part in parts for key in part)
    assert dealt == sorted(image.tobytes() for image in originals)
    assert [len(part) for part in parts] == [719, 180, 719, 179]
    assert len(set(dealt)) == len(dealt), "scikit-learn's scans are distinct, so sets can be used"


def test_fresh_digits_are_not_those_of_the_coloured_set() -> None:
    coloured, blended = domain("syndigits").test.images, domain("blended:syndigits").test.images
    assert not torch.equal(coloured, blended)


def test_size_resizes() -> None:
    assert domain("optdigits", size=8).size == 8
    assert domain("syndigits", size=32).size == 32
    assert domain("blended:optdigits", size=24).size == 24


def test_coloured_digits_stand_out_from_their_ground() -> None:
    ground = torch.rand(2000, 3, 1, 1, generator=generator("test"))
    colour = _contrasting(ground, generator("test", "colour"))
    gap = ((colour - ground).flatten(1) @ LUMA).abs()
    assert float(gap.quantile(0.02)) > 0.2
    assert float(colour.flatten(1).std(dim=0).min()) > 0.25, "many colours, not black and white"


def test_blended_images_hold_the_photograph_and_the_digit() -> None:
    """Blending a black image leaves the photograph, a white one its negative."""
    labels = torch.zeros(40, dtype=torch.int64)
    black = torch.zeros(40, 1, 16, 16, dtype=torch.uint8)
    ground = _blend(Split(black, labels), 16, generator("t")).images
    negative = _blend(Split(black + 255, labels), 16, generator("t")).images
    assert int((ground.int() + negative.int() - 255).abs().max()) <= 1
    assert float(ground.float().std()) > 20


def test_every_font_draws_ten_different_digits() -> None:
    glyphs = atlas()
    assert glyphs.shape == (len(FONTS), 10, 2, 32, 32)
    assert not glyphs[..., [0, -1], :].any(), "a glyph is cut off above or below"
    assert not glyphs[..., [0, -1]].any(), "a glyph is cut off at a side"
    fill, outline = glyphs.unbind(2)
    assert bool((outline >= fill - 0.02).all())
    for font in fill:
        distance = torch.cdist(font.flatten(1), font.flatten(1)) + 99 * torch.eye(10)
        assert float(distance.min()) > 2
