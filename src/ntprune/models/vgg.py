"""torchvision's VGGs; the encoder is `features`, the head is everything behind it."""

from __future__ import annotations

from collections import OrderedDict
from functools import partial

from torch import nn

from ntprune.models.registry import Parts, register_architecture
from ntprune.models.spec import ModelSpec


def _vgg(name: str, spec: ModelSpec) -> Parts:
    from torchvision import models

    spec.require_no_width()
    small = spec.stem == "small"
    net = getattr(models, name)(num_classes=2 if small else len(spec.classes))
    channels = spec.preprocessing.channels
    if channels != 3:
        net.features[0] = nn.Conv2d(channels, 64, 3, padding=1)
    if small:
        # The stock head of 120 million weights is made for 7×7 maps; small images leave 1×1.
        net.avgpool = nn.AdaptiveAvgPool2d(1)
        net.classifier = nn.Linear(512, len(spec.classes))
    head = nn.Sequential(
        OrderedDict(avgpool=net.avgpool, flatten=nn.Flatten(), classifier=net.classifier)
    )
    return Parts(net, net.features, head)


for _name in ("vgg11", "vgg11_bn", "vgg13", "vgg13_bn"):
    register_architecture(_name, partial(_vgg, _name))
