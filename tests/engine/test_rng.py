"""Random streams depend on seed and role, and on nothing else."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from ntprune.engine import (
    generator,
    layers_draw,
    random_state,
    set_random_state,
    stream_seed,
)


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


def test_a_state_that_was_kept_is_gone_on_from() -> None:
    where = torch.device("cpu")
    kept = random_state(where)
    first = torch.rand(5)
    torch.rand(3)
    set_random_state(where, kept)
    assert torch.equal(first, torch.rand(5))


def test_the_stream_of_a_gpu_is_kept_too(monkeypatch: pytest.MonkeyPatch) -> None:
    streams = {"cuda": torch.arange(3)}
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: streams[device.type])
    monkeypatch.setattr(
        torch.cuda, "set_rng_state", lambda state, device: streams.update({device.type: state})
    )
    kept = random_state(torch.device("cuda"))
    streams["cuda"] = torch.zeros(3)
    set_random_state(torch.device("cuda"), kept)
    assert torch.equal(streams["cuda"], torch.arange(3))


def test_layers_follow_their_seed_and_others_go_on_as_if_nothing_had_been() -> None:
    before = torch.random.get_rng_state()
    drawn = []
    for seed in (1, 1, 2):
        with layers_draw(seed, torch.device("cpu")):
            drawn.append(F.dropout(torch.ones(50)))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert torch.equal(before, torch.random.get_rng_state())
