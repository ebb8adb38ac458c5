"""Any `nn.Module` as a `Model`, checked before it is believed."""

from __future__ import annotations

import copy
import hashlib
import re
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from ntprune.errors import ModelMismatchError
from ntprune.models.forget import forget
from ntprune.models.layout import find_layout, probe
from ntprune.models.model import Model
from ntprune.models.preprocessing import Preprocessing
from ntprune.models.registry import Parts, register_architecture
from ntprune.models.spec import ModelSpec


def wrap(
    module: nn.Module,
    *,
    encoder: str,
    head: str,
    classes: tuple[str, ...],
    preprocessing: Preprocessing,
    name: str | None = None,
) -> Model:
    """See `module` as encoder and head.

    Args:
        module: any network for which `module(x) == head(encoder(x))`.
        encoder, head: names of the two submodules, as in `module.get_submodule`. The head may
            receive feature maps or vectors; its last `nn.Linear` is the classifier.
        classes: class names in the order of the outputs.
        preprocessing: what its input looks like.
        name: registers the architecture under this name, so that releases of it load again in
            this process. What an earlier call has registered under it is replaced, so that models
            of that call must not be used any more. Without one it is the class's name in lower
            case and a few digits that stand for layers and shapes, whatever the classes.

    Raises:
        ModelMismatchError: a part does not exist, the two parts do not make up the whole, a
            parameter is no floating-point weight of its own, the outputs don't match the classes,
            fewer than two classes or one that comes twice, or the head has no linear layer.
        SettingsError: the name is that of an architecture which did not come from `wrap`.
    """
    if len(set(classes)) < max(2, len(classes)):
        raise ModelMismatchError(
            f"classes {', '.join(map(str, classes))}: name at least two, each once"
        )
    parts = _split(module, encoder, head)
    _check_classifier(parts)
    _check_parameters(module)
    name = name or f"{type(module).__name__.lower()}-{_structure(module, head)}"
    spec = ModelSpec(architecture=name, classes=classes, preprocessing=preprocessing)
    _check(parts, spec)
    _check_classifier_alone(module, encoder, head, spec)
    blueprint = copy.deepcopy(module).cpu()

    def builder(wanted: ModelSpec) -> Parts:
        net = copy.deepcopy(blueprint)
        forget(net)
        _resize_classifier(net, head, len(wanted.classes))
        return _split(net, encoder, head)

    register_architecture(name, builder, passing=True)
    return Model(replace(parts, layout=find_layout(module, spec.preprocessing)), spec)


def _structure(module: nn.Module, head: str) -> str:
    """Eight hexadecimal digits that stand for layers and shapes, whatever the number of classes.

    New heads and the thief's own network are built by name: two networks of one class must not
    share it.
    """
    net = copy.deepcopy(module)
    with torch.random.fork_rng(devices=[]):
        _resize_classifier(net, head, 1)
    layers = re.sub(r"0x[0-9a-f]+", "", repr(net))  # of a function, its address
    shapes = [(name, tuple(value.shape)) for name, value in net.state_dict().items()]
    return hashlib.sha256(f"{layers} {shapes}".encode()).hexdigest()[:8]


def _split(module: nn.Module, encoder: str, head: str) -> Parts:
    found = dict(module.named_modules())
    for part in (encoder, head):
        if part not in found or not part:
            top = ", ".join(n for n, _ in module.named_children())
            raise ModelMismatchError(
                f"the module has no part '{part}': its top-level parts are {top}"
            )
    return Parts(module, found[encoder], found[head])


def _check_classifier(parts: Parts) -> None:
    if not any(isinstance(layer, nn.Linear) for layer in parts.head.modules()):
        raise ModelMismatchError(
            "the head has no nn.Linear: name the part that ends in the classifier"
        )


def _check(parts: Parts, spec: ModelSpec) -> None:
    pre = spec.preprocessing
    images = probe(pre).to(next(parts.module.parameters()).device)
    was_training = parts.module.training
    parts.module.eval()
    try:
        with torch.no_grad():
            whole = parts.module(images)
            features = parts.encoder(images)
            split = parts.head(features)
    except (RuntimeError, ValueError, TypeError, AttributeError) as error:
        reason = str(error).splitlines()[0]
        raise ModelMismatchError(
            f"the parts cannot read {pre.channels}×{pre.size}×{pre.size} images: {reason}"
        ) from error
    finally:
        parts.module.train(was_training)
    if not isinstance(features, Tensor) or features.dim() < 2:
        raise ModelMismatchError(
            f"the encoder returns {type(features).__name__}, expected one tensor (images×features, "
            "or images×channels×height×width): move what the head unpacks into the encoder"
        )
    for outputs, what in ((whole, "the module"), (split, "head(encoder(x))")):
        if not isinstance(outputs, Tensor) or outputs.dim() != 2:
            found = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
            raise ModelMismatchError(
                f"{what} returns {found}, expected logits (images×classes): wrap the module in one "
                "whose forward returns these alone"
            )
    if whole.shape != split.shape or not torch.allclose(whole, split, atol=1e-4):
        raise ModelMismatchError(
            "head(encoder(x)) differs from module(x): wrap the module in one whose forward is "
            "exactly these two parts"
        )
    if whole.shape[-1] != len(spec.classes):
        raise ModelMismatchError(
            f"the head has {whole.shape[-1]} outputs and {len(spec.classes)} classes were named"
        )


@torch.no_grad()
def _check_classifier_alone(module: nn.Module, encoder: str, head: str, spec: ModelSpec) -> None:
    """Other classes, or these in another order, must be a matter of the last `nn.Linear` alone."""
    net = copy.deepcopy(module).cpu().eval()
    parts = replace(_split(net, encoder, head), layout=torch.contiguous_format)
    images, count = probe(spec.preprocessing), len(spec.classes)
    alone = [m for m in parts.head.modules() if isinstance(m, nn.Linear)][-1].out_features == count
    if alone:
        turned = Model(parts, spec).reordered(spec.classes[::-1])
        alone = torch.allclose(turned.module(images), net(images).flip(1), atol=1e-4)
    if alone:
        with torch.random.fork_rng(devices=[]):
            _resize_classifier(net, head, count + 1)
        try:
            alone = net(images).shape[-1] == count + 1
        except RuntimeError:
            alone = False
    if not alone:
        raise ModelMismatchError(
            "the last nn.Linear of the head does not have the last word on the classes: end the "
            "head in the classifier, and move what follows it elsewhere"
        )


def _check_parameters(module: nn.Module) -> None:
    for name, parameter in module.named_parameters():
        if not parameter.is_floating_point():
            raise ModelMismatchError(
                f"parameter '{name}' is {parameter.dtype}, expected floating point: register it as "
                "a buffer"
            )
    for name, layer in module.named_modules():
        # Lengths and directions apart are no weights that a mask could hold at zero.
        if is_parametrized(layer) or hasattr(layer, "weight_g"):
            raise ModelMismatchError(
                f"layer '{name}' computes its weight from other parameters (a parametrization such "
                "as weight_norm): make it plain first, with "
                "torch.nn.utils.parametrize.remove_parametrizations or remove_weight_norm"
            )
        for part, value in vars(layer).items():
            if isinstance(value, Tensor) and not value.is_leaf:
                raise ModelMismatchError(
                    f"layer '{name}' keeps in '{part}' a tensor that was computed from others, so "
                    "that it can't be copied: delete it, or make a weight plain with "
                    "torch.nn.utils.prune.remove or remove_spectral_norm"
                )


def _resize_classifier(module: nn.Module, head: str, classes: int) -> None:
    inner = module.get_submodule(head).named_modules()
    name, last = [(n, m) for n, m in inner if isinstance(m, nn.Linear)][-1]
    if last.out_features == classes:
        return
    parent, _, child = f"{head}.{name}".rstrip(".").rpartition(".")
    fresh = nn.Linear(last.in_features, classes, bias=last.bias is not None)
    setattr(module.get_submodule(parent), child, fresh)
