"""Trained networks as an encoder and a head, with the preprocessing that belongs to them."""

from ntprune.models import convnet, resnet, vgg  # noqa: F401  (they register themselves)
from ntprune.models.forget import forget
from ntprune.models.model import Model
from ntprune.models.preprocessing import Preprocessing
from ntprune.models.registry import (
    Parts,
    architecture,
    architecture_names,
    build,
    register_architecture,
)
from ntprune.models.spec import ModelSpec
from ntprune.models.stages import last_stage
from ntprune.models.wrap import wrap

__all__ = [
    "Model",
    "ModelSpec",
    "Parts",
    "Preprocessing",
    "architecture",
    "architecture_names",
    "build",
    "forget",
    "last_stage",
    "register_architecture",
    "wrap",
]
