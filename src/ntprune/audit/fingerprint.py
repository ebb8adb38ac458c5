"""Whether a network's weights and normalisation look as training leaves them.

Neither a factor that normalisation divides out again nor a running statistic that γ and β make up
for changes what a network computes, and both trip a thief who fine-tunes it as it is.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ntprune.domains.blocks import at_once
from ntprune.engine import Resident, generator, widest
from ntprune.models import Model

# A channel strays if its mean is off by more than one standard deviation, or its standard deviation
# by more than this factor.
_FACTOR = 2.0
# Projections of a filter that are recorded; of two filters they give the squared distance to about
# half of itself, and there are many filters.
_DRAWS = 8
# They are kept as signed bytes in this unit: four standard deviations fit in.
_UNIT = 1 / 32
# Two filters with a cosine above .99 count as one: their squared distance is 2 - 2 * cosine.
_CLOSE = 2 - 2 * 0.99
# Fewer survivors of a mask than this may have any scale.
_FEW = 16
# What stands for more than JSON can say.
_ENDLESS = 1e30


@torch.no_grad()
def weight_scales(model: Model) -> dict[str, float]:
    """Root mean square of the non-zero entries of every weight that has enough of them, by name.

    Biases are left out: they may start at nothing, and a ratio of theirs says nothing. So are
    weights of which a mask left a handful.
    """
    alive = {name: value[value != 0] for name, value in _weights(model)}
    whole = {name: value.numel() for name, value in _weights(model)}
    return {n: _size(v) for n, v in alive.items() if len(v) >= min(_FEW, whole[n])}


@torch.no_grad()
def whole_scales(model: Model) -> dict[str, float]:
    """Root mean square of all entries of every weight, zeros included, by name."""
    return {name: _size(value) for name, value in _weights(model)}


@torch.no_grad()
def lone_channels(model: Model) -> dict[str, float]:
    """How far the channel that stands out most stands out of its layer, by name of the parameter.

    Of a weight, the length of the longest filter in the median length of those that are not zero;
    of a bias, its largest value in that length, or in the median bias, zeros included, where this
    is larger. One channel that nothing reads can carry a value that blinds all others as soon as a
    thief trains.
    """
    found = {}
    for name, layer in model.module.named_modules():
        own = dict(layer.named_parameters(recurse=False))
        usual = None
        for part, weight in own.items():
            if not _is_weight(part, weight):
                continue
            lengths = weight.detach().to(widest(weight.device)).abs()
            if weight.dim() > 1:
                lengths = lengths.flatten(1).square().mean(1).sqrt()
            usual = _median(lengths)
            found[f"{name}.{part}"] = _ratio(lengths.max(), usual)
        if usual is not None and "bias" in own:
            sizes = own["bias"].detach().to(usual).abs()
            found[f"{name}.bias"] = _ratio(sizes.max(), torch.maximum(usual, sizes.median()))
    return found


def _median(values: Tensor) -> Tensor:
    """Of those that are not zero; 0 of none."""
    alive = values[values > 0]
    return alive.median() if len(alive) else values.new_zeros(())


def _ratio(largest: Tensor, usual: Tensor) -> float:
    """`largest / usual`, 1 where both are zero, and `_ENDLESS` for what is not finite."""
    if not largest > 0:
        return 1.0 if largest == 0 else _ENDLESS
    return min(float((largest / usual).nan_to_num(_ENDLESS, _ENDLESS)), _ENDLESS)


def _weights(model: Model) -> Iterator[tuple[str, Tensor]]:
    return ((n, p.detach()) for n, p in model.module.named_parameters() if _is_weight(n, p))


def _is_weight(name: str, parameter: Tensor) -> bool:
    """What has filters, whatever a layer of one's own calls it, or scales what is normalised."""
    return parameter.dim() >= 2 or name.endswith("weight")


def _size(values: Tensor) -> float:
    scale = float(values.to(widest(values.device)).square().mean().sqrt())
    # JSON has no infinity; whatever is not finite is as unusual as a scale of zero.
    return scale if math.isfinite(scale) else 0.0


@torch.no_grad()
def filter_directions(weights: Mapping[str, Tensor]) -> dict[str, str]:
    """Where the filters of each weight point, in a few bytes a filter, by name.

    Filters are scaled to length one and projected on random directions that depend on the weight's
    name and shape alone; the text is Base64 of signed bytes. `kept_directions` compares two.

    Args:
        weights: with two or more dimensions each, filters along the first.
    """
    found = {}
    for name, value in weights.items():
        filters = F.normalize(value.detach().cpu().double().flatten(1), dim=1).nan_to_num()
        draw = generator(0, "directions", name)
        along = torch.randn(filters.shape[1], _DRAWS, generator=draw, dtype=torch.float64)
        steps = (filters @ along / _UNIT).round().clamp(-127, 127).to(torch.int8)
        found[name] = base64.b64encode(steps.numpy().tobytes()).decode()
    return found


def head_weights(model: Model) -> dict[str, nn.Parameter]:
    """The weights with two or more dimensions that are not the encoder's, by name."""
    encoder = model.prunable()
    return {n: p for n, p in model.module.named_parameters() if p.dim() >= 2 and n not in encoder}


def kept_directions(beside: Mapping[str, tuple[str, str]]) -> float:
    """Share (0 to 1) of filters with one direction in two files, over all weights.

    Neither length nor sign counts: normalisation, and whatever reads the filter, make up for both.
    Filters that are zero in one file alone differ.

    Args:
        beside: `filter_directions` of each weight in the one file and in the other; 0 of none.
    """
    same: list[NDArray[np.bool_]] = []
    for texts in beside.values():
        ours, bare = (_read(text) for text in texts)
        if ours.shape == bare.shape:
            apart, against = (np.square(ours - way * bare).mean(1) for way in (1, -1))
            same.append(np.minimum(apart, against) < _CLOSE)
        else:
            same.append(np.zeros(len(ours), dtype=np.bool_))
    return float(np.concatenate(same).mean()) if same else 0.0


def _read(text: str) -> NDArray[np.float64]:
    """Projections, filters × draws."""
    steps = np.frombuffer(base64.b64decode(text), dtype=np.int8)
    return _UNIT * steps.reshape(-1, _DRAWS).astype(np.float64)


class Stray(NamedTuple):
    """What images say of the running statistics of one BatchNorm.

    Attributes:
        share: of its channels that the images refute, 0 to 1.
        farthest: of all channels, how far the mean is off in standard deviations, or the factor by
            which the standard deviation is, whichever is largest.
    """

    share: float
    farthest: float


@torch.no_grad()
def stray_statistics(model: Model, data: Resident, limit: int = 512) -> dict[str, Stray]:
    """Of each BatchNorm, how far its running statistics are from those of `data`, by its name.

    Args:
        model: looked at in eval mode; not changed.
        data: source images; `limit` of them, fewer of large ones, drawn in a fixed way: folders
            and arrays often come sorted by class.
    """
    found: dict[str, Stray] = {}
    hooks = [
        layer.register_forward_pre_hook(_looking(name, found))
        for name, layer in model.module.named_modules()
        if isinstance(layer, _BatchNorm) and layer.running_mean is not None
    ]
    was_training = model.module.training
    model.module.eval()
    order = torch.randperm(len(data), generator=generator(0, "strays"))
    count = at_once(limit, data.images.shape[-1])
    model(data.images[order[:count].to(data.images.device)])
    model.module.train(was_training)
    for hook in hooks:
        hook.remove()
    return found


def _looking(name: str, found: dict[str, Stray]) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    def look(layer: nn.Module, given: tuple[Tensor, ...]) -> None:
        assert isinstance(layer, _BatchNorm)
        assert layer.running_mean is not None
        assert layer.running_var is not None
        exact = widest(given[0].device)
        seen = given[0].to(exact).transpose(0, 1).flatten(1)
        wide = (layer.running_var.to(exact) + layer.eps).sqrt()
        # The file may hold anything: a negative or non-finite statistic strays, too.
        factor = (seen.var(1) + layer.eps).sqrt() / wide
        off = (seen.mean(1) - layer.running_mean).abs() / wide
        near = (off <= 1) & ((factor - 1 / _FACTOR) * (factor - _FACTOR) <= 0)
        worst = torch.stack((off, factor, 1 / factor)).nan_to_num(_ENDLESS, _ENDLESS).max()
        found[name] = Stray(float((~near).to(exact).mean()), min(float(worst), _ENDLESS))

    return look
