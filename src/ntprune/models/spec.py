"""All that is needed to build a network again from its weights."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ntprune.errors import SettingsError
from ntprune.models.preprocessing import Preprocessing


class ModelSpec(BaseModel):
    """A network's blueprint, as stored on a release's card.

    Attributes:
        architecture: name in the registry, for instance `convnet` or `resnet18`.
        classes: class names in the order of the head's outputs.
        stem: `small` keeps the resolution of small images at the entry (3×3 convolution, no
            max-pooling); `imagenet` is torchvision's own.
        width: channels of the first stage, where the architecture has the choice.
        preprocessing: how pixels become the network's input.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    architecture: str
    classes: tuple[str, ...] = Field(min_length=2)
    stem: Literal["small", "imagenet"] = "small"
    width: int | None = Field(default=None, ge=1, le=4096)
    preprocessing: Preprocessing

    def require_no_width(self) -> None:
        """For the builder of an architecture that comes in one width alone.

        Raises:
            SettingsError: one was chosen.
        """
        if self.width is not None:
            raise SettingsError(
                f"{self.architecture} has no width to choose: leave it out (convnet has one)"
            )
