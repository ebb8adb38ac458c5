"""The training loop and what it needs: devices, random streams, batches."""

from ntprune.engine.average import AveragedWeights
from ntprune.engine.batches import Batches, Resident
from ntprune.engine.batchnorm import (
    kept_statistics,
    rebase_statistics,
    rebased_layers,
    reestimate_batchnorm,
)
from ntprune.engine.device import resolve_device, threads, widest
from ntprune.engine.evaluate import accuracy, evaluate, outputs, right
from ntprune.engine.features import feature_maps
from ntprune.engine.loop import Optimiser, Schedule, TrainLog, require_known, train
from ntprune.engine.progress import Progress, silent
from ntprune.engine.rng import (
    generator,
    layers_draw,
    random_state,
    set_random_state,
    stream_seed,
)

__all__ = [
    "AveragedWeights",
    "Batches",
    "Optimiser",
    "Progress",
    "Resident",
    "Schedule",
    "TrainLog",
    "accuracy",
    "evaluate",
    "feature_maps",
    "generator",
    "kept_statistics",
    "layers_draw",
    "outputs",
    "random_state",
    "rebase_statistics",
    "rebased_layers",
    "reestimate_batchnorm",
    "require_known",
    "resolve_device",
    "right",
    "set_random_state",
    "silent",
    "stream_seed",
    "threads",
    "train",
    "widest",
]
