"""What is saved is what is loaded, here and where ntprune is not installed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.release.toys import base, files, protected, toy

from ntprune.methods.measure import unprotected
from ntprune.models import Model, ModelSpec, Preprocessing
from ntprune.release import check, load


def test_bit_for_bit(folder: Path, tmp_path: Path) -> None:
    made, loaded = protected(toy(0), toy(1)), load(folder)
    state, again = made.model.module.state_dict(), loaded.model.module.state_dict()
    assert list(state) == list(again)
    assert all(torch.equal(state[name], again[name]) for name in state)
    assert all(torch.equal(made.masks[name], loaded.masks[name]) for name in made.masks)
    assert loaded.card == made.card
    assert loaded.history == made.history
    assert loaded.history
    assert not loaded.model.module.training
    images = toy(1).test.images
    assert torch.equal(made.model(images), loaded.model(images))
    loaded.save(tmp_path / "again")
    assert files(tmp_path / "again") == files(folder)


def test_the_unprotected_model_stays_with_the_owner(folder: Path) -> None:
    expected = {"model.safetensors", "masks.safetensors", "card.json", "history.json"}
    assert set(files(folder)) == expected
    owner = load(folder.with_name("released.owner"))
    kept = base(toy(0)).model.module.state_dict()
    assert all(torch.equal(kept[n], v) for n, v in owner.model.module.state_dict().items())
    released = load_file(folder / "model.safetensors")
    assert not torch.equal(released["features.0.weight"], kept["features.0.weight"])
    assert load(folder).base is None


def test_a_checked_release_holds_its_card(folder: Path) -> None:
    card = load(folder).card
    found = check(folder, toy(0))
    assert found.test == card.source.test
    assert found.test is not None
    assert found.test > 0.3, "the toy model must be better than chance for tests to mean anything"
    assert found.sparsity == card.sparsity == pytest.approx(0.8, abs=1e-3)
    assert check(folder).test is None


PLAIN = """
import json, sys
sys.modules["ntprune"] = None  # any import of it fails
import numpy as np, torch
from safetensors.torch import load_file
from torch import nn

folder, images, out = sys.argv[1:]
card = json.load(open(folder + "/card.json"))
classes, entry = len(card["model"]["classes"]), card["model"]["preprocessing"]


class SixConv(nn.Module):
    def __init__(self, w):
        super().__init__()
        layers, inputs = [], 1
        for stage, outputs in enumerate((w, 2 * w, 4 * w)):
            layers += [nn.MaxPool2d(2)] if stage else []
            for _ in range(2):
                layers += [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)]
                layers += [nn.BatchNorm2d(outputs), nn.ReLU()]
                inputs = outputs
        self.features = nn.Sequential(*layers)
        pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(pool, nn.Flatten(), nn.Linear(inputs, classes))

    def forward(self, x):
        return self.classifier(self.features(x))


if card["model"]["architecture"] == "convnet":
    net = SixConv(card["model"]["width"])
else:
    import torchvision
    net = torchvision.models.resnet18(num_classes=classes)
net.load_state_dict(load_file(folder + "/model.safetensors"))
net.eval()
x = torch.from_numpy(np.load(images)).float() / 255
mean, std = (torch.tensor(entry[k]).view(1, -1, 1, 1) for k in ("mean", "std"))
with torch.no_grad():
    np.save(out, net((x - mean) / std).numpy())
"""


def logits_elsewhere(folder: Path, images: torch.Tensor) -> torch.Tensor:
    given, out = folder.parent / "images.npy", folder.parent / "logits.npy"
    np.save(given, images.numpy())
    command = [sys.executable, "-c", PLAIN, str(folder), str(given), str(out)]
    subprocess.run(command, check=True, timeout=60)
    return torch.from_numpy(np.load(out))


def test_plain_torch_reads_the_convnet(folder: Path) -> None:
    images = toy(0).test.images[:32]
    here = load(folder).model(images).detach()
    assert here.std() > 0.01
    torch.testing.assert_close(logits_elsewhere(folder, images), here, atol=1e-4, rtol=1e-4)


def test_torchvision_reads_the_resnet(tmp_path: Path) -> None:
    entry = Preprocessing(channels=3, size=32, mean=(0.3, 0.4, 0.5), std=(0.2, 0.25, 0.3))
    spec = ModelSpec(
        architecture="resnet18", classes=toy(0).classes, stem="imagenet", preprocessing=entry
    )
    model = Model.fresh(spec, seed=3)
    folder = unprotected(model, toy(0), 0).save(tmp_path / "resnet")
    images = model.preprocessing.resize(toy(0).test.images[:8])
    here = load(folder).model(images).detach()
    torch.testing.assert_close(logits_elsewhere(folder, images), here, atol=1e-4, rtol=1e-4)


def test_the_card_is_plain_json(folder: Path) -> None:
    card = json.loads((folder / "card.json").read_text())
    assert card["schema"] == 1
    assert card["method"] == "ntp"
    assert card["targets"] == ["toy1"]
    assert card["base"]["test"] == base(toy(0)).card.source.test
    assert set(card["layers"]) == set(load_file(folder / "masks.safetensors"))
