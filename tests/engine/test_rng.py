"""Random streams depend on seed and role, and on nothing else."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from ntprune.engine import generator, layers_draw, stream_seed


def test_a_stream_is_fixed_for_ever() -> None:
    """These numbers are in every published result: they must never change."""
    assert stream_seed(0, "subset", "usps", 128) == 3485292738915627844
    assert stream_seed(0) == 3456079177858693020


def test_seeds_differ_by_seed_role_and_order() -> None:
    calls = [
        (0,), (1,), (0, "a"), (0, "b"), (1, "a"), (0, "a", "b"), (0, "b", "a"), (0, "ab"),
        (0, "a", 1), (0, "a1"), (0, 1), (0, 11), (10, 1),
    ]  # fmt: skip
    seeds = [stream_seed(*call) for call in calls]
    assert len(set(seeds)) == len(calls)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_generators_repeat_and_leave_the_global_state_alone() -> None:
    before = torch.random.get_rng_state()
    first, again, other = (
        torch.rand(50, generator=generator(*call)) for call in ((3, "x"), (3, "x"), (3, "y"))
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(before, torch.random.get_rng_state())


def test_layers_follow_their_seed_and_others_go_on_as_if_nothing_had_been() -> None:
    before = torch.random.get_rng_state()
    drawn = []
    for seed in (1, 1, 2):
        with layers_draw(seed, torch.device("cpu")):
            drawn.append(F.dropout(torch.ones(50)))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert torch.equal(before, torch.random.get_rng_state())
