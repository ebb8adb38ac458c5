"""Image sets that live on the device as one uint8 tensor, and endless batches of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ntprune.domains import Split
from ntprune.models import Preprocessing


@dataclass(frozen=True, eq=False)
class Resident:
    """Resized images (uint8, N×C×H×W) and labels (int64, N) on the device they are used on."""

    images: Tensor
    labels: Tensor

    @classmethod
    def of(cls, split: Split, preprocessing: Preprocessing, device: torch.device) -> Resident:
        """`split` as `preprocessing` wants it, on `device`."""
        images = preprocessing.resize(split.images)
        return cls(images.to(device), split.labels.to(device))

    def __len__(self) -> int:
        return int(self.labels.shape[0])

    def take(self, index: Tensor) -> Resident:
        """The rows named by `index` (int64)."""
        index = index.to(self.labels.device)
        return Resident(self.images[index], self.labels[index])


class Batches:
    """Endless shuffled batches: every image once, then all of them again in another order.

    Args:
        data: what to draw from. Sets smaller than `size` give batches of the whole set.
        size: images a batch.
        generator: CPU generator of the order and of the augmentation.
        shift: largest random translation in pixels (edges padded with zeros), 0 for none.
        flip: mirror every second image, drawn at random.
    """

    def __init__(
        self,
        data: Resident,
        size: int,
        generator: torch.Generator,
        *,
        shift: int = 0,
        flip: bool = False,
    ) -> None:
        self.data = data
        self.size = min(size, len(data))
        self.shift = shift
        self.flip = flip
        self._generator = generator
        self._order = torch.empty(0, dtype=torch.int64, device=data.labels.device)
        self._at = 0

    def next(self) -> tuple[Tensor, Tensor]:
        """Images (uint8, B×C×H×W) and labels (int64, B)."""
        if self._at + self.size > len(self._order):
            order = torch.randperm(len(self.data), generator=self._generator)
            # What is left of an epoch comes first, so that no image is passed over.
            left = self._order[self._at :]
            self._order = torch.cat((left, order.to(left.device)))
            self._at = 0
        index = self._order[self._at : self._at + self.size]
        self._at += self.size
        images = self.data.images[index]
        if self.shift or self.flip:
            images = self._augment(images)
        return images, self.data.labels[index]

    def state_dict(self) -> dict[str, Any]:
        """Where in which order it stands, and the generator's state."""
        return {"order": self._order, "at": self._at, "draw": self._generator.get_state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict` of batches of the same data."""
        self._order = state["order"].to(self.data.labels.device)
        self._at = state["at"]
        self._generator.set_state(state["draw"])

    def _augment(self, images: Tensor) -> Tensor:
        count, _, height, width = images.shape
        device = images.device
        rows = torch.arange(height, device=device).expand(count, height)
        columns = torch.arange(width, device=device).expand(count, width)
        if self.shift:
            reach = 2 * self.shift + 1
            moves = torch.randint(reach, (2, count, 1), generator=self._generator).to(device)
            images = F.pad(images, (self.shift,) * 4)
            rows = rows + moves[0]
            columns = columns + moves[1]
        if self.flip:
            coins = torch.rand(count, 1, generator=self._generator).to(device) < 0.5
            columns = torch.where(coins, columns.flip(1), columns)
        which = torch.arange(count, device=device)[:, None, None]
        return images.permute(0, 2, 3, 1)[which, rows[:, :, None], columns[:, None]].permute(
            0, 3, 1, 2
        )
