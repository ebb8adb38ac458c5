"""Load a protected `convnet` in plain PyTorch: this file does not import ntprune."""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn


def stage(inputs: int, outputs: int) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    ]


class ConvNet(nn.Module):
    def __init__(self, channels: int, classes: int, width: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *stage(channels, width),
            nn.MaxPool2d(2),
            *stage(width, 2 * width),
            nn.MaxPool2d(2),
            *stage(2 * width, 4 * width),
        )
        self.classifier = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * width, classes)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.features(x))


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "release")
    spec = json.loads((folder / "card.json").read_text())["model"]
    pre = spec["preprocessing"]
    net = ConvNet(pre["channels"], len(spec["classes"]), spec["width"] or 32)
    net.load_state_dict(load_file(folder / "model.safetensors"))
    net.eval()
    # Pixels on the 0-to-1 scale, resized to the network's size, normalised by the card.
    image = torch.zeros(1, pre["channels"], pre["size"], pre["size"])
    mean, std = (torch.tensor(pre[name]).view(1, -1, 1, 1) for name in ("mean", "std"))
    logits = net((image - mean) / std)
    print(spec["classes"][int(logits.argmax())])


if __name__ == "__main__":
    main()
