"""BatchNorm's scales stay within the range they came in."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.release.toys import TINY, base, files, toy
from torch import nn

from ntprune.methods import protect
from ntprune.methods.defence import Defence
from ntprune.methods.ntp.scales import Scales
from ntprune.models import Model
from ntprune.release import Release


def norms(model: Model) -> list[nn.BatchNorm2d]:
    return [m for m in model.module.modules() if isinstance(m, nn.BatchNorm2d)]


def ranges(model: Model) -> list[tuple[float, float]]:
    sizes = [norm.weight.detach().abs() for norm in norms(model)]
    return [(float(size.min()), float(size.max())) for size in sizes]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), spread=st.floats(0.1, 10))
def test_as_a_loop_over_channels_would(seed: int, spread: float) -> None:
    model = base(toy(0)).model.copy()
    scales = Scales(Defence(model, None, None, [], 0, False, 1.0, 0, lambda *_: None))  # type: ignore[arg-type]
    draw = torch.Generator().manual_seed(seed)
    wanted = []
    for norm, (low, high) in zip(norms(model), ranges(model), strict=True):
        pushed = spread * torch.randn(norm.weight.shape, generator=draw)
        pushed[0] = high / 2 + low / 2
        wanted.append([(1 if w > 0 else -1) * min(max(abs(w), low), high) for w in pushed.tolist()])
        norm.weight.data.copy_(pushed)
    scales.hold()
    for norm, values in zip(norms(model), wanted, strict=True):
        torch.testing.assert_close(norm.weight.detach(), torch.tensor(values))


def test_a_network_without_batchnorm_has_none_to_hold() -> None:
    model = base(toy(0)).model.copy()
    for norm in norms(model):
        norm.affine = False
    Scales(Defence(model, None, None, [], 0, False, 1.0, 0, lambda *_: None)).hold()  # type: ignore[arg-type]


def made(scales: str, **changes: object) -> Release:
    given = (
        TINY
        | {"finish": 4, "checks": 2, "push": 4.0, "lr": 0.2, "scales": scales, "device": "cpu"}
        | changes
    )
    return protect(base(toy(0)), toy(0), toy(1), **given)  # type: ignore[arg-type]


def test_a_push_beyond_the_range_is_taken_back() -> None:
    """What is left beyond it is of the source step after the last push."""
    beyond = {}
    for how in ("free", "held"):
        found, before = ranges(made(how).model), ranges(base(toy(0)).model)
        beyond[how] = max(
            max(given[0] - now[0], now[1] - given[1])
            for now, given in zip(found, before, strict=True)
        )
    assert beyond["held"] < 0.5 * beyond["free"]


def test_it_goes_on_after_a_stop(tmp_path: Path) -> None:
    def stop(stage: str, done: int, total: int, note: str = "") -> None:
        if (stage, done) == ("finish", 2):
            raise InterruptedError

    with pytest.raises(InterruptedError):
        made("held", checkpoint=tmp_path / "p", progress=stop)
    made("held", checkpoint=tmp_path / "p").save(tmp_path / "stopped")
    made("held").save(tmp_path / "whole")
    assert files(tmp_path / "stopped") == files(tmp_path / "whole")
