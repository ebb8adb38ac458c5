"""Scales, shifts and statistics that hide what a network can learn, put right before training."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ntprune.attacks.base import Attack
from ntprune.attacks.registry import attack
from ntprune.attacks.theft import Theft, ThreatModel
from ntprune.domains.blocks import at_once
from ntprune.engine import TrainLog, rebase_statistics, reestimate_batchnorm
from ntprune.engine.layers import WEIGHTED, free_scales
from ntprune.models import Model


@attack
class Rescale(Attack):
    """Sees through defences that block training instead of removing what was learnt.

    A filter's norm is invisible behind BatchNorm, yet one a thousand times too large makes its
    learning rate a million times too small (Laarhoven 2017). Shifts can kill ReLUs on the target
    alone, statistics can be scrambled, logits can be scaled until the loss is flat. So, on the
    thief's own images and without labels: filters get the norm of a fresh initialisation,
    BatchNorms the statistics of those images in a way that keeps what they compute, scales and
    shifts far outside the usual are taken back (in the spirit of Mishkin and Matas 2016), and
    BatchNorm statistics are estimated anew. Then all weights are fine-tuned.
    """

    name = "rescale"
    summary = "hidden scales, shifts and statistics put right, then all weights"
    threat = ThreatModel(
        weights=True,
        labels=True,
        source=False,
        mask="free",
        head="any",
        knowledge="the architecture and how it is initialised",
    )

    def run(self, theft: Theft) -> TrainLog:
        """Put right, then fine-tune without the mask."""
        images = theft.samples.images
        images = images[: at_once(512, images.shape[-1])]
        hidden = free_scales(theft.model, images[:2])
        level_filters(hidden, theft.model, theft.fresh())
        rebase_statistics(theft.model, images)
        put_right(theft.model, images, {giver for giver, _ in hidden})
        reestimate_batchnorm(theft.model, theft.samples)
        return theft.train()


@torch.no_grad()
def level_filters(hidden: list[tuple[nn.Module, _BatchNorm]], model: Model, fresh: Model) -> None:
    """Give every filter before a BatchNorm the norm that `fresh` has in that layer on average.

    Running statistics are scaled alike, and BatchNorm's own scale makes up for the small constant
    it adds to variances, so the function in eval mode stays what it was. Filters that are all zero
    stay so.
    """
    names = {layer: name for name, layer in model.module.named_modules()}
    for layer, norm in hidden:
        weight: Any = layer.weight
        usual: Any = fresh.module.get_submodule(names[layer]).weight
        length = weight.flatten(1).norm(dim=1)
        wanted = usual.flatten(1).norm(dim=1).square().mean().sqrt()
        factor = torch.where(length > 0, wanted / length, 1.0)
        weight.mul_(factor.view(-1, *[1] * (weight.dim() - 1)))
        if isinstance(layer.bias, Tensor):
            layer.bias.mul_(factor)
        if norm.running_mean is not None and norm.running_var is not None:
            before = (norm.running_var + norm.eps).sqrt()
            norm.running_mean.mul_(factor)
            norm.running_var.mul_(factor.square())
            if norm.affine:
                norm.weight.mul_((norm.running_var + norm.eps).sqrt() / (factor * before))


@torch.no_grad()
def put_right(model: Model, images: Tensor, hidden: set[nn.Module]) -> None:
    """Correct each layer in the order of one pass, so that later ones see its corrected output.

    BatchNorm uses the statistics of `images`. Layers in `hidden` have a BatchNorm behind them,
    which is corrected in their stead; the classifier is a layer like any other.
    """
    done: set[nn.Module] = set()

    def correct(layer: nn.Module, _: Any, output: Tensor) -> Tensor | None:
        if layer in done:
            return None
        done.add(layer)
        return _correct(layer, output)

    layers: list[nn.Module] = []
    model.module.eval()
    for layer in model.module.modules():
        if isinstance(layer, _BatchNorm) and layer.weight is not None:
            layers.append(layer.train())
        elif isinstance(layer, WEIGHTED) and layer not in hidden:
            layers.append(layer)
    hooks = [layer.register_forward_hook(correct) for layer in layers]
    try:
        model(images)
    finally:
        for hook in hooks:
            hook.remove()
        model.module.eval()


# Channels of trained networks have a standard deviation well within this range.
_USUAL = (0.03, 30.0)
# A ReLU whose input lies further than this below zero, in standard deviations, is as good as dead.
_FAR = 2.0


def _correct(layer: nn.Module, output: Tensor) -> Tensor:
    """Change scale and shift of `layer` where they are far off; the output it would have given."""
    weight: Any = layer.weight
    bias: Any = layer.bias
    channel = output.dim() - 1 if isinstance(layer, nn.Linear) else 1
    if isinstance(layer, _BatchNorm):
        std = weight.abs()
        mean = torch.zeros_like(std) if bias is None else bias
    else:
        rest = [d for d in range(output.dim()) if d != channel]
        std, mean = torch.std_mean(output, dim=rest, correction=0)
    scale, shift = _remedy(mean, std)
    weight.mul_(scale.view(-1, *[1] * (weight.dim() - 1)))
    if bias is None:
        shift = torch.zeros_like(shift)
    else:
        bias.mul_(scale).add_(shift)
    shape = [-1 if d == channel else 1 for d in range(output.dim())]
    return output * scale.view(shape) + shift.view(shape)


def _remedy(mean: Tensor, std: Tensor) -> tuple[Tensor, Tensor]:
    """Factor and summand of each channel: 1 and 0 where nothing is far off.

    A layer that is off as a whole is scaled as a whole, which ReLUs pass on; then single channels
    are. A channel that lies too far from zero is centred, so that a ReLU behind it is alive on
    about half of its inputs.
    """
    low, high = _USUAL
    # In the median, not the largest: one decoy must not make all others look dead.
    some = std[std > 0]
    alive = std > 1e-6 * (some.median() if len(some) else 0)
    level = std[alive].median() if bool(alive.any()) else std.new_ones(())
    scale = torch.where((level < low) | (level > high), 1 / level, 1.0).expand_as(std)
    own = std * scale
    odd = alive & ((own < low) | (own > high))
    scale = torch.where(odd, scale / own, scale)
    far = (mean * scale).abs() > _FAR * (std * scale).clamp_min(low)
    return scale, torch.where(far, -mean * scale, 0.0)
