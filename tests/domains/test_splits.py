"""The deal into splits: disjoint, stratified, fixed by its seed and its name."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ntprune.domains.domain import Split
from ntprune.domains.draws import generator
from ntprune.domains.splits import cut, deal, defender_share, hold_out_test, split_rest
from ntprune.errors import DataInvalidError


def numbered(counts: list[int]) -> Split:
    """A split whose images are 0, 1, 2, ... so that they can be told apart."""
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    labels = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(1))]
    return Split(torch.arange(len(labels)), labels)


def names(count: int) -> tuple[str, ...]:
    return tuple(map(str, range(count)))


counts = st.lists(st.integers(4, 60), min_size=2, max_size=6)


@settings(max_examples=60, deadline=None)
@given(counts=counts, seed=st.integers(0, 10_000))
def test_every_image_is_in_exactly_one_split(counts: list[int], seed: int) -> None:
    everything = numbered(counts)
    rest, test = hold_out_test(everything, names(len(counts)), "name")
    parts = (*split_rest(rest, names(len(counts)), "name", seed), test)
    ids = torch.cat([part.images for part in parts])
    assert ids.sort().values.tolist() == list(range(sum(counts)))
    for part in parts:
        assert torch.equal(part.labels, everything.labels[part.images])
        assert part.labels.unique().tolist() == list(range(len(counts)))


@settings(max_examples=60, deadline=None)
@given(counts=counts, share=st.floats(0, 1), least=st.integers(0, 3))
def test_deal_takes_its_share_of_every_class(counts: list[int], share: float, least: int) -> None:
    labels = numbered(counts).labels
    taken = torch.bincount(labels[deal(labels, share, generator(0), least)], minlength=6)
    for label, count in enumerate(counts):
        wanted = min(max(round(count * share), least), count - 1)
        assert abs(int(taken[label]) - wanted) <= (1 if (count * share) % 1 == 0.5 else 0)


def test_classes_keep_their_proportions() -> None:
    parts = split_rest(numbered([1000, 3000]), names(2), "name", 0)
    assert [torch.bincount(part.labels).tolist() for part in parts] == [
        [200, 600],
        [50, 150],
        [750, 2250],
    ]


@pytest.mark.parametrize(
    ("count", "held"), [(100, 40), (2_500, 1_000), (6_000, 1_000), (60_000, 6_000)]
)
def test_defender_holds_a_tenth_or_up_to_a_thousand(count: int, held: int) -> None:
    assert round(count * defender_share(count)) == held


def test_seed_and_name_fix_the_deal() -> None:
    rest = numbered([50, 50])

    def pool(name: str, seed: int) -> list[int]:
        images: list[int] = split_rest(rest, names(2), name, seed)[2].images.tolist()
        return images

    assert pool("a", 0) == pool("a", 0)
    assert len({tuple(pool(*role)) for role in (("a", 0), ("a", 1), ("b", 0))}) == 3


def test_cut_keeps_order() -> None:
    chosen, others = cut(numbered([2, 2]), torch.tensor([True, False, False, True]))
    assert (chosen.images.tolist(), others.images.tolist()) == ([0, 3], [1, 2])


def test_a_class_too_small_to_deal_is_refused() -> None:
    with pytest.raises(DataInvalidError, match=r"^name: class '1' has 2 images .* at least 3"):
        split_rest(numbered([9, 2]), names(2), "name", 0)
    with pytest.raises(DataInvalidError, match=r"class 'c' has 0 images .* at least 4"):
        hold_out_test(numbered([9, 9]), ("a", "b", "c"), "name")
