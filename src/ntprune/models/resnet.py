"""torchvision's ResNets; the encoder is everything before the average pooling."""

from __future__ import annotations

from collections import OrderedDict
from functools import partial

from torch import nn

from ntprune.models.registry import Parts, register_architecture
from ntprune.models.spec import ModelSpec

_STAGES = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")


def _resnet(name: str, spec: ModelSpec) -> Parts:
    from torchvision import models

    spec.require_no_width()
    net = getattr(models, name)(num_classes=len(spec.classes))
    channels = spec.preprocessing.channels
    if spec.stem == "small":
        net.conv1 = nn.Conv2d(channels, 64, 3, padding=1, bias=False)
        net.maxpool = nn.Identity()
    elif channels != 3:
        net.conv1 = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
    encoder = nn.Sequential(OrderedDict((stage, getattr(net, stage)) for stage in _STAGES))
    head = nn.Sequential(OrderedDict(avgpool=net.avgpool, flatten=nn.Flatten(), fc=net.fc))
    return Parts(net, encoder, head)


for _name in ("resnet18", "resnet50"):
    register_architecture(_name, partial(_resnet, _name))
