"""What turns raw pixels into a network's input. It travels with the model, not the caller."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from ntprune.domains.blocks import at_once, blocks
from ntprune.domains.resize import resize
from ntprune.errors import ModelMismatchError

# ITU-R 601 luma, what every image library uses to turn RGB into grey.
_LUMA = (0.299, 0.587, 0.114)
# Of all images that statistics are taken of, as float32: one gigabyte.
_VALUES = 2**28


@lru_cache(maxsize=64)
def _on(device: torch.device, values: tuple[float, ...]) -> Tensor:
    """One value a channel, in pixels; kept there, since a copy makes the host wait for a GPU."""
    return torch.tensor(values, device=device).view(1, -1, 1, 1) * 255


class Preprocessing(BaseModel):
    """Resize, channel conversion and normalisation.

    Attributes:
        channels: channels the network reads, 1 or 3.
        size: height and width the network reads, in pixels.
        mean, std: per channel, on the 0-to-1 scale.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: Literal[1, 3]
    size: int = Field(ge=4)
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @model_validator(mode="after")
    def _one_value_a_channel(self) -> Self:
        if not len(self.mean) == len(self.std) == self.channels:
            raise ValueError(f"mean and std need one value for each of {self.channels} channels")
        if not all(math.isfinite(v) for v in self.mean) or not all(
            0 < v < math.inf for v in self.std
        ):
            raise ValueError("mean must be finite, std positive and finite")
        return self

    @classmethod
    def fit(cls, images: Tensor, channels: int, size: int) -> Preprocessing:
        """Statistics of `images` (uint8, N×C×H×W) after resizing to `channels` and `size`.

        Of a set that is too large to hold as floats, every k-th image counts.
        """
        images = images[:: math.ceil(len(images) * channels * size**2 / _VALUES)]
        blank = cls(channels=channels, size=size, mean=(0.0,) * channels, std=(1.0,) * channels)
        pixels = blank.resize(images).to(torch.float32).div_(255)
        mean = pixels.mean(dim=(0, 2, 3))
        std = pixels.std(dim=(0, 2, 3)).clamp_min(1e-3)
        # Four decimals survive JSON exactly, so a reloaded model sees the very same input.
        return blank.model_copy(
            update={
                "mean": tuple(round(float(v), 4) for v in mean),
                "std": tuple(round(float(v), 4) for v in std),
            }
        )

    def resize(self, images: Tensor) -> Tensor:
        """`images` (uint8, N×C×H×W) as uint8, N×`channels`×`size`×`size`.

        Raises:
            ModelMismatchError: the images' channels can't be turned into the network's.
        """
        return resize(self._match_channels(images), self.size)

    def normalise(self, batch: Tensor, layout: torch.memory_format = torch.channels_last) -> Tensor:
        """A resized uint8 batch as float32 in memory format `layout`, normalised."""
        mean, std = (_on(batch.device, values) for values in (self.mean, self.std))
        pixels = batch.to(torch.float32, memory_format=layout)
        return pixels.sub_(mean).div_(std)

    def _match_channels(self, images: Tensor) -> Tensor:
        found = images.shape[1]
        if found == self.channels:
            return images
        if found == 1 and self.channels == 3:
            return images.expand(-1, 3, -1, -1).contiguous()
        if found == 3 and self.channels == 1:
            weights = torch.tensor(_LUMA, device=images.device).view(1, 3, 1, 1)
            parts = [
                (part.to(torch.float32) * weights).sum(1, keepdim=True).round_().to(torch.uint8)
                for part in blocks(images, at_once(4096, images.shape[-1]))
            ]
            return torch.cat(parts)
        raise ModelMismatchError(
            f"the images have {found} channels and the model reads {self.channels}: "
            "use grey (1) or RGB (3) images"
        )
