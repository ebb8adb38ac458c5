"""A network with its blueprint: what is trained, protected, released and attacked."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from ntprune.errors import ModelMismatchError
from ntprune.models.preprocessing import Preprocessing
from ntprune.models.registry import Parts, build
from ntprune.models.spec import ModelSpec


class Model:
    """An `nn.Module` seen as encoder and head.

    The module stays itself: it keeps its own state-dict keys, and every change made through this
    class is a change of the module.

    Attributes:
        module: the plain network, logits of normalised images.
        encoder: normalised images to feature maps (N×D×h×w) or vectors (N×D).
        head: those features to logits (N×classes).
        spec: blueprint, including preprocessing and class names.
    """

    def __init__(self, parts: Parts, spec: ModelSpec) -> None:
        self.module = parts.module.to(memory_format=parts.layout)
        self.encoder = parts.encoder
        self.head = parts.head
        self.spec = spec
        self._layout = parts.layout

    @classmethod
    def fresh(cls, spec: ModelSpec, seed: int) -> Model:
        """A network with random weights that depend on `seed` alone."""
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)  # of the CPU alone, where it is built
            return cls(build(spec), spec)

    @property
    def preprocessing(self) -> Preprocessing:
        """How pixels become this network's input."""
        return self.spec.preprocessing

    @property
    def device(self) -> torch.device:
        """Where the parameters live."""
        return next(self.module.parameters()).device

    def to(self, device: torch.device | str) -> Model:
        """Move the parameters; returns itself."""
        self.module.to(device)
        return self

    def copy(self) -> Model:
        """An independent copy, views included."""
        module, encoder, head = copy.deepcopy((self.module, self.encoder, self.head))
        return Model(Parts(module, encoder, head, self._layout), self.spec)

    def encoder_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """(name in the module, parameter) of the encoder, in the module's order."""
        inside = {id(p) for p in self.encoder.parameters()}
        return ((n, p) for n, p in self.module.named_parameters() if id(p) in inside)

    def prunable(self) -> dict[str, nn.Parameter]:
        """Encoder weights with two or more dimensions, by their name in the module.

        Raises:
            ModelMismatchError: there are none.
        """
        found = {name: p for name, p in self.encoder_parameters() if p.dim() >= 2}
        if not found:
            raise ModelMismatchError(
                "the encoder has no weight with two or more dimensions, so nothing can be pruned: "
                "check which part was named as the encoder"
            )
        return found

    def new_head(self, classes: tuple[str, ...], seed: int) -> Model:
        """A copy whose head is re-initialised for `classes`; the encoder's weights stay."""
        fresh = Model.fresh(self.spec.model_copy(update={"classes": classes}), seed)
        fresh.to(self.device)
        fresh.encoder.load_state_dict(self.encoder.state_dict())
        return fresh

    def reordered(self, classes: tuple[str, ...]) -> Model:
        """A copy whose outputs come in the order of `classes`, which are its own in another."""
        order = [self.spec.classes.index(name) for name in classes]
        changed = self.copy()
        changed.spec = self.spec.model_copy(update={"classes": classes})
        classifier = [m for m in changed.head.modules() if isinstance(m, nn.Linear)][-1]
        with torch.no_grad():
            for parameter in classifier.parameters(recurse=False):
                parameter.copy_(parameter[order])
        return changed

    def __call__(self, batch: Tensor) -> Tensor:
        """Logits (N×classes) of a resized uint8 batch (N×C×H×W)."""
        logits: Tensor = self.head(self.encode(batch))
        return logits

    def encode(self, batch: Tensor) -> Tensor:
        """Features of a resized uint8 batch (N×C×H×W)."""
        features: Tensor = self.encoder(self.read(batch))
        return features

    def read(self, batch: Tensor) -> Tensor:
        """A resized uint8 batch (N×C×H×W) as the module takes it: float32, normalised."""
        return self.preprocessing.normalise(batch, self._layout)

    def __repr__(self) -> str:
        weights = sum(p.numel() for p in self.module.parameters())
        spec = self.spec
        return f"Model({spec.architecture}, {len(spec.classes)} classes, {weights:,} weights)"
