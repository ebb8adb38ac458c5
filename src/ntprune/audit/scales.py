"""Whether a network's weights and normalisation look as training leaves them.

Neither a factor that normalisation divides out again nor a running statistic that γ and β make up
for changes what a network computes, and both trip a thief who fine-tunes it as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ntprune.domains.blocks import at_once
from ntprune.engine import Resident, generator
from ntprune.models import Model

# A channel strays if its mean is off by more than one standard deviation, or its standard deviation
# by more than this factor.
_FACTOR = 2.0


@torch.no_grad()
def weight_scales(model: Model) -> dict[str, float]:
    """Root mean square of the non-zero entries of every weight that has some, by name.

    Biases are left out: they may start at nothing, and a ratio of theirs says nothing.
    """
    weights = {n: p for n, p in model.module.named_parameters() if n.endswith("weight")}
    alive = {name: value[value != 0] for name, value in weights.items()}
    found = {n: float(v.double().square().mean().sqrt()) for n, v in alive.items() if len(v)}
    # JSON has no infinity; whatever is not finite is as unusual as a scale of zero.
    return {name: scale if math.isfinite(scale) else 0.0 for name, scale in found.items()}


@torch.no_grad()
def filter_directions(model: Model) -> dict[str, float]:
    """One number for each encoder weight with two or more dimensions, by name.

    Filters are scaled to length one and projected on a fixed random direction: two weights with
    the same number have filters that differ in length alone.
    """
    found = {}
    for name, value in model.prunable().items():
        filters = F.normalize(value.detach().cpu().double().flatten(1), dim=1)
        draw = generator(0, "directions", name)
        along = torch.randn(filters.shape, generator=draw, dtype=torch.float64)
        number = float((filters * along).sum() / math.sqrt(len(filters)))
        found[name] = number if math.isfinite(number) else 0.0
    return found


@torch.no_grad()
def stray_statistics(model: Model, data: Resident, limit: int = 512) -> dict[str, float]:
    """Of each BatchNorm, the share (0 to 1) of channels whose running statistics `data` refute.

    Args:
        model: looked at in eval mode; not changed.
        data: source images; the first `limit` of them, fewer of large ones.
    """
    found: dict[str, float] = {}
    hooks = [
        layer.register_forward_pre_hook(_looking(name, found))
        for name, layer in model.module.named_modules()
        if isinstance(layer, _BatchNorm) and layer.running_mean is not None
    ]
    was_training = model.module.training
    model.module.eval()
    model(data.images[: at_once(limit, data.images.shape[-1])])
    model.module.train(was_training)
    for hook in hooks:
        hook.remove()
    return found


def _looking(name: str, found: dict[str, float]) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    def look(layer: nn.Module, given: tuple[Tensor, ...]) -> None:
        assert isinstance(layer, _BatchNorm)
        assert layer.running_mean is not None
        assert layer.running_var is not None
        seen = given[0].double().transpose(0, 1).flatten(1)
        wide = (layer.running_var.double() + layer.eps).sqrt()
        # The file may hold anything: a negative or non-finite statistic strays, too.
        factor = (seen.var(1) + layer.eps).sqrt() / wide
        near = ((seen.mean(1) - layer.running_mean).abs() <= wide) & (
            (factor - 1 / _FACTOR) * (factor - _FACTOR) <= 0
        )
        found[name] = float((~near).double().mean())

    return look
