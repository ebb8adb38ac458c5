"""Projections against sorted lists."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ntprune.errors import LayerCollapseError, SettingsError
from ntprune.sparsity import (
    GlobalMagnitude,
    LayerMagnitude,
    Projection,
    SoftThreshold,
    random_masks,
)

shapes = st.lists(
    st.lists(st.integers(1, 6), min_size=1, max_size=3).map(tuple), min_size=1, max_size=4
)
# Few levels make many ties.
levels = st.sampled_from([2, 5, 1000])


def draw_weights(shapes: list[tuple[int, ...]], levels: int, seed: int) -> list[Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return [
        torch.randint(-levels, levels + 1, shape, generator=draw).float() + 0.5 for shape in shapes
    ]


def kept_by_hand(weights: list[Tensor], sparsity: float, ceiling: float) -> list[bool] | None:
    """Python lists only: each layer's floor, then the largest; ties to the earlier."""
    sizes = [w.numel() for w in weights]
    keep = sum(sizes) - round(sparsity * sum(sizes))
    flat = [(abs(float(v)), layer) for layer, w in enumerate(weights) for v in w.flatten()]
    order = sorted(range(len(flat)), key=lambda i: (-flat[i][0], i))
    kept: set[int] = set()
    for layer, n in enumerate(sizes):
        floor = max(1, math.ceil((1 - ceiling) * n - 1e-9))
        kept |= set([i for i in order if flat[i][1] == layer][:floor])
    if len(kept) > keep:
        return None
    for i in order:
        if len(kept) == keep:
            break
        kept.add(i)
    return [i in kept for i in range(len(flat))]


@settings(max_examples=150, deadline=None)
@given(
    shapes=shapes,
    levels=levels,
    seed=st.integers(0, 999),
    sparsity=st.floats(0, 0.99),
    ceiling=st.sampled_from([0.5, 0.8, 0.998]),
)
def test_global_magnitude_is_the_sorted_list(
    shapes: list[tuple[int, ...]], levels: int, seed: int, sparsity: float, ceiling: float
) -> None:
    weights = draw_weights(shapes, levels, seed)
    wanted = kept_by_hand(weights, sparsity, ceiling)
    if wanted is None:
        with pytest.raises(LayerCollapseError):
            GlobalMagnitude(ceiling).masks(weights, sparsity)
        return
    masks = GlobalMagnitude(ceiling).masks(weights, sparsity)
    assert [m.shape for m in masks] == [w.shape for w in weights]
    assert torch.cat([m.flatten() for m in masks]).tolist() == wanted


def test_the_ceiling_protects_a_layer_of_small_weights() -> None:
    small, large = torch.full((10,), 1e-3), torch.arange(1.0, 91.0)
    free = GlobalMagnitude(0.999).masks([small, large], 0.9)
    assert [int(m.sum()) for m in free] == [1, 9]
    held = GlobalMagnitude(0.5).masks([small, large], 0.45)
    assert [int(m.sum()) for m in held] == [5, 50]


def test_the_remedy_in_the_message_works() -> None:
    weights = [torch.randn(50), torch.randn(7, 3), torch.randn(3)]
    with pytest.raises(LayerCollapseError, match="use at most") as caught:
        GlobalMagnitude(0.9).masks(weights, 0.95)
    advised = float(str(caught.value).split("at most ")[1])
    masks = GlobalMagnitude(0.9).masks(weights, advised)
    assert all(bool(m.any()) for m in masks)


@settings(max_examples=80, deadline=None)
@given(shapes=shapes, levels=levels, seed=st.integers(0, 999), sparsity=st.floats(0, 0.9))
def test_layer_magnitude_treats_each_layer_alone(
    shapes: list[tuple[int, ...]], levels: int, seed: int, sparsity: float
) -> None:
    weights = draw_weights(shapes, levels, seed)
    if any(round(sparsity * w.numel()) == w.numel() for w in weights):
        with pytest.raises(LayerCollapseError):
            LayerMagnitude().masks(weights, sparsity)
        return
    for weight, mask in zip(weights, LayerMagnitude().masks(weights, sparsity), strict=True):
        flat = weight.abs().flatten().tolist()
        order = sorted(range(len(flat)), key=lambda i: (-flat[i], i))
        kept = set(order[: len(flat) - round(sparsity * len(flat))])
        assert mask.flatten().tolist() == [i in kept for i in range(len(flat))]


def test_layer_magnitude_never_advises_a_sparsity_that_is_refused() -> None:
    weight = torch.randn(40_000)
    with pytest.raises(LayerCollapseError) as caught:
        LayerMagnitude().masks([weight], 0.99999)
    advised = float(str(caught.value).split("at most ")[1].split()[0])
    assert LayerMagnitude().masks([weight], advised)[0].any()


@settings(max_examples=80, deadline=None)
@given(shapes=shapes, levels=levels, seed=st.integers(0, 999), sparsity=st.floats(0, 0.99))
def test_soft_threshold_shrinks_by_one_amount(
    shapes: list[tuple[int, ...]], levels: int, seed: int, sparsity: float
) -> None:
    weights = draw_weights(shapes, levels, seed)
    flat = torch.cat([w.flatten() for w in weights]).tolist()
    cut = round(sparsity * len(flat))
    threshold = sorted(abs(v) for v in flat)[cut - 1] if cut else 0.0
    wanted = [math.copysign(max(abs(v) - threshold, 0.0), v) for v in flat]
    done = SoftThreshold()(weights, sparsity)
    assert torch.cat([w.flatten() for w in done]).tolist() == pytest.approx(wanted)
    assert sum(v == 0 for v in wanted) >= cut
    masks = SoftThreshold().masks(weights, sparsity)
    assert all(torch.equal(m, d != 0) for m, d in zip(masks, done, strict=True))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 999), threshold=st.floats(0, 3), sparsity=st.floats(0, 0.9))
def test_a_given_threshold_is_the_one_used(seed: int, threshold: float, sparsity: float) -> None:
    weights = [torch.randn(12, generator=torch.manual_seed(seed)), torch.zeros(3, 2)]
    done = SoftThreshold(threshold)(weights, sparsity)
    for weight, shrunk in zip(weights, done, strict=True):
        wanted = [math.copysign(max(abs(v) - threshold, 0.0), v) for v in weight.flatten().tolist()]
        assert shrunk.flatten().tolist() == pytest.approx(wanted, abs=1e-6)
    masks = SoftThreshold(threshold).masks(weights, sparsity)
    assert all(torch.equal(m, d != 0) for m, d in zip(masks, done, strict=True))


@pytest.mark.parametrize("threshold", [-1e-9, math.nan])
def test_a_threshold_below_zero_is_refused(threshold: float) -> None:
    with pytest.raises(SettingsError, match="threshold"):
        SoftThreshold(threshold)


HARD = [GlobalMagnitude(), LayerMagnitude()]


@pytest.mark.parametrize("projection", HARD, ids=lambda p: type(p).__name__)
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 999), sparsity=st.floats(0, 0.9))
def test_hard_projections_keep_values_and_are_idempotent(
    projection: Projection, seed: int, sparsity: float
) -> None:
    weights = [w.contiguous() for w in torch.randn(3, 40, generator=torch.manual_seed(seed))]
    before = [w.clone() for w in weights]
    once = projection(weights, sparsity)
    masks = projection.masks(weights, sparsity)
    for weight, original, done, mask in zip(weights, before, once, masks, strict=True):
        assert torch.equal(weight, original)
        assert torch.equal(done, torch.where(mask, weight, 0.0))
    assert all(torch.equal(a, b) for a, b in zip(once, projection(once, sparsity), strict=True))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 9999), sparsity=st.floats(0, 0.9))
def test_no_mask_of_that_size_is_nearer(seed: int, sparsity: float) -> None:
    """It is the Euclidean projection: no other support keeps more of the norm."""
    draw = torch.Generator().manual_seed(seed)
    weights = [torch.randn(12, generator=draw), torch.randn(4, 5, generator=draw)]
    projected = GlobalMagnitude()(weights, sparsity)
    flat, near = (torch.cat([w.flatten() for w in ws]) for ws in (weights, projected))
    distance = (flat - near).norm()
    for _ in range(20):
        other = torch.zeros(32, dtype=torch.bool)
        other[torch.randperm(32, generator=draw)[: int((near != 0).sum())]] = True
        if other[:12].any() and other[12:].any():
            assert distance <= (flat - flat * other).norm() + 1e-6


@pytest.mark.parametrize("projection", [*HARD, SoftThreshold()], ids=lambda p: type(p).__name__)
@pytest.mark.parametrize("sparsity", [-0.1, 1.0, 1.5, math.nan])
def test_a_sparsity_outside_its_range_is_refused(projection: Projection, sparsity: float) -> None:
    with pytest.raises(SettingsError, match="outside"):
        projection([torch.randn(10)], sparsity)
    with pytest.raises(SettingsError, match="outside"):
        projection.masks([torch.randn(10)], sparsity)


@pytest.mark.parametrize("ceiling", [0, 1, -1, math.nan])
def test_a_ceiling_outside_its_range_is_refused(ceiling: float) -> None:
    with pytest.raises(SettingsError, match="ceiling"):
        GlobalMagnitude(ceiling)


def test_random_masks_are_exact_seeded_and_blind() -> None:
    weights = [torch.arange(400.0).view(20, 20), torch.zeros(3, 7, 5)]
    first, again, other = (
        random_masks(weights, 0.8, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)
    )
    assert sum(int((~m).sum()) for m in first) == round(0.8 * 505)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first, other, strict=True))
    # Blind to magnitude: both halves of the growing tensor keep about a fifth.
    upper, lower = (float(part.float().mean()) for part in first[0].split(10))
    assert 0.1 < upper < 0.32
    assert 0.1 < lower < 0.32
    assert [m.shape for m in first] == [w.shape for w in weights]
