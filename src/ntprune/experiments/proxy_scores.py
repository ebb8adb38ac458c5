"""Cheap figures of what a thief might gain from a release, on the defender's own target data.

Each is larger, the more of a head start it sees. `train` is fitted on, `validation` is judged by;
the thief's pool and the test split are never read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import cached_property

import torch
from torch import Tensor

from ntprune.attacks import make_attack
from ntprune.domains import Domain
from ntprune.engine import feature_maps, generator, outputs, reestimate_batchnorm
from ntprune.errors import TrainingDivergedError
from ntprune.experiments.common.audited import MASK_FREE
from ntprune.methods.defence import TargetData
from ntprune.methods.ntp import quick_thief as thieving
from ntprune.methods.ntp.quick_thief import quick_thief
from ntprune.metrics import calibrated_cross_entropy, logme, probe_loss
from ntprune.objectives import fisher_ratio
from ntprune.release import Release

LR, SEARCHED = 3e-3, (1e-3, 3e-3, 1e-2)
SAMPLES, STEPS, BATCH = 64, 40, 64


class Defended:
    """A release and the defender's slice of its target.

    Args:
        release: not changed.
        target: of which `train` and `validation` are used.
        seed: of every draw.
    """

    def __init__(self, release: Release, target: Domain, seed: int = 0) -> None:
        self.release = release
        self.seed = seed
        self.data = TargetData.of(target, release.model, seed)

    @cached_property
    def maps(self) -> tuple[Tensor, Tensor]:
        """Feature maps of `train` and of `validation`.

        BatchNorm has the target's statistics, which a thief estimates without a label.
        """
        model = self.release.model.copy()
        reestimate_batchnorm(model, self.data.train)
        model.module.eval()
        train, validation = self.data.train.images, self.data.validation.images
        return feature_maps(model, train), feature_maps(model, validation)

    def thief(self, samples: int, steps: int, lrs: Iterable[float]) -> float:
        """Smallest held-out cross-entropy of mask-free fine-tunings, with the sign turned.

        At the temperature that suits the thief, as that of `quick_thief`.
        """
        data, release = self.data, self.release
        order = torch.randperm(len(data.train), generator=generator(self.seed, "proxy"))
        reached = [math.log(len(data.classes))]
        for name in MASK_FREE:
            attack = make_attack(name)
            if not attack.applies(release, data.classes):
                continue
            for lr in lrs:
                try:
                    stolen = attack(
                        release,
                        data.train.take(order[:samples]),
                        data.classes,
                        lr=lr,
                        steps=steps,
                        batch=BATCH,
                        seed=self.seed,
                    )
                except TrainingDivergedError:
                    continue
                logits = outputs(stolen.model, data.validation).cpu()
                labels = data.validation.labels.cpu()
                reached.append(calibrated_cross_entropy(logits, labels))
        return -min(reached)


def _fisher(defended: Defended) -> float:
    maps, data = defended.maps[0], defended.data
    return float(fisher_ratio(maps, data.train.labels[: len(maps)], len(data.classes)))


def _logme(defended: Defended) -> float:
    maps = defended.maps[0]
    return logme(pooled(maps), defended.data.train.labels[: len(maps)])


def _probe(defended: Defended) -> float:
    (maps, held), data = defended.maps, defended.data
    fitted, judged = data.train.labels[: len(maps)], data.validation.labels[: len(held)]
    return -probe_loss(pooled(maps), fitted, pooled(held), judged)


def _ten_steps(defended: Defended) -> float:
    return defended.thief(len(defended.data.train), 10, [LR])


def _quick_thief(defended: Defended) -> float:
    return quick_thief(defended.release.model, defended.data, defended.seed)


def _searching_thief(defended: Defended) -> float:
    return defended.thief(SAMPLES, STEPS, SEARCHED)


_HELD_OUT = "held-out log-likelihood, at the best temperature,"

PROXIES: dict[str, tuple[str, Callable[[Defended], float]]] = {
    "fisher": ("Fisher ratio of the feature maps", _fisher),
    "logme": ("LogME of the pooled features, nats a sample", _logme),
    "linear-probe": ("held-out log-likelihood of a logistic regression, nats", _probe),
    "ten-steps": (f"{_HELD_OUT} after 10 steps at {LR:g}, nats", _ten_steps),
    "quick-thief": (
        f"{_HELD_OUT} after {thieving.STEPS} steps on {thieving.SAMPLES} images at "
        f"{thieving.LR:g}, the mean over heads of the better start, nats",
        _quick_thief,
    ),
    "searching-thief": (
        f"{_HELD_OUT} after {STEPS} steps on {SAMPLES} images at the best of the rates "
        f"{', '.join(f'{lr:g}' for lr in SEARCHED)}, nats",
        _searching_thief,
    ),
}


def pooled(maps: Tensor) -> Tensor:
    """N×D on the CPU: feature maps (N×D×h×w) averaged over positions, vectors as they are."""
    return (maps.flatten(2).mean(2) if maps.dim() > 2 else maps).cpu()
