"""Six 3×3 convolutions with BatchNorm, for small images."""

from __future__ import annotations

from torch import Tensor, nn

from ntprune.models.registry import Parts, architecture
from ntprune.models.spec import ModelSpec


def _stage(inputs: int, outputs: int) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    ]


class ConvNet(nn.Module):
    """Three stages of two convolutions; the width doubles and the resolution halves between them.

    Args:
        channels: input channels.
        classes: outputs.
        width: channels of the first stage (32 gives 32-64-128).
    """

    def __init__(self, channels: int, classes: int, width: int = 32) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *_stage(channels, width),
            nn.MaxPool2d(2),
            *_stage(width, 2 * width),
            nn.MaxPool2d(2),
            *_stage(2 * width, 4 * width),
        )
        self.classifier = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * width, classes)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N×classes) of images (N×channels×H×W, H and W at least 4)."""
        logits: Tensor = self.classifier(self.features(x))
        return logits


@architecture("convnet")
def convnet(spec: ModelSpec) -> Parts:
    net = ConvNet(spec.preprocessing.channels, len(spec.classes), spec.width or 32)
    return Parts(net, net.features, net.classifier)
