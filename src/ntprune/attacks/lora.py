"""Low-rank updates of frozen weights, merged in the end."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from ntprune.attacks.base import Attack
from ntprune.attacks.registry import attack
from ntprune.attacks.theft import Theft, ThreatModel
from ntprune.engine import TrainLog
from ntprune.models import Model


class Adapter(nn.Module):
    """A weight and an update of low rank: `weight + up @ down`, in the weight's shape.

    The update is nothing to begin with.

    Args:
        weight: two dimensions or more; all but the first count as one.
        rank: largest rank of the update.
        draw: CPU generator of `down`, uniform within the reciprocal root of the fan-in.
    """

    def __init__(self, weight: Tensor, rank: int, draw: torch.Generator) -> None:
        super().__init__()
        rows, columns = weight.shape[0], weight[0].numel()
        rank = min(rank, rows, columns)
        down = (2 * torch.rand(rank, columns, generator=draw) - 1) / math.sqrt(columns)
        self.weight = weight.detach().clone()
        self.down = nn.Parameter(down.to(weight.device))
        self.up = nn.Parameter(torch.zeros(rows, rank, device=weight.device))

    def forward(self) -> Tensor:
        """The weight as it is now."""
        return self.weight + (self.up @ self.down).view(self.weight.shape)


class Whole(nn.Module):
    """Encoder and head in a row, which a network's own `forward` need not be while it trains."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.encoder = model.encoder
        self.head = model.head

    def forward(self, images: Tensor) -> Tensor:
        """Logits of normalised images."""
        logits: Tensor = self.head(self.encoder(images))
        return logits


@attack
class LoRA(Attack):
    """Low-rank adaptation (Hu et al. 2022) of every convolution and linear layer of the encoder.

    The head is trained whole, BatchNorm statistics follow the target, all else stays frozen. The
    result is the plain module with the updates added to its weights.
    """

    name = "lora"
    summary = "low-rank updates of the encoder's weights and the whole head"
    threat = ThreatModel(
        weights=True,
        labels=True,
        source=False,
        mask="free",
        head="any",
        knowledge="the architecture",
    )
    RANK = 4

    def run(self, theft: Theft) -> TrainLog:
        """Train adapters and head, then merge."""
        model = theft.model
        whole = Whole(model)
        names = {weight: name for name, weight in whole.named_parameters()}
        frozen = {names[weight]: weight for weight in model.prunable().values()}
        adapters = {n: Adapter(w, self.RANK, theft.draw) for n, w in frozen.items()}

        def objective(images: Tensor, labels: Tensor) -> Tensor:
            weights = {name: adapter() for name, adapter in adapters.items()}
            logits = functional_call(whole, weights, (model.read(images),))
            return F.cross_entropy(logits, labels)

        trained = nn.ModuleList([*adapters.values(), model.head]).parameters()
        log = theft.train(parameters=trained, objective=objective)
        with torch.no_grad():
            for name, weight in frozen.items():
                weight.copy_(adapters[name]())
        return log
