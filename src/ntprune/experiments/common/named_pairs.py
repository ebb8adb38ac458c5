"""Pairs of domains that experiments are made on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ntprune.errors import UnknownNameError

# A stated reduction of the protocol where two cores force one.
_FEW = {"budgets": "8,64,512"}
_POLITE = {"budgets": "64,256,1024", "controls": "unprotected,magnitude"}
_CIFAR = "npz:cifar10_subset.npz[{}]"


@dataclass(frozen=True)
class Pair:
    """A source, a target, and how the model is pretrained, protected and audited.

    Protection has the same settings on every pair, chosen on validation data of `mnist-usps`, but
    for what `protect` names. Two parts of the method were added for what histories of other pairs
    showed (recovery, and the controller's aim: docs/experiments/settings.md, rounds 10 and 19).

    Attributes:
        source, target: names of domains.
        pretrain: options of that command.
        audit: what an audit of the pair does otherwise than its protocol.
        polite: the same for `paper/1`, whose thirty epochs need fewer and larger budgets.
        protect: settings of `ntp` that differ from `PROTECT`.
    """

    source: str
    target: str
    pretrain: dict[str, Any] = field(default_factory=dict)
    audit: dict[str, Any] = field(default_factory=dict)
    polite: dict[str, Any] = field(default_factory=lambda: dict(_POLITE))
    protect: dict[str, Any] = field(default_factory=dict)

    @property
    def settings(self) -> dict[str, Any]:
        """Of `ntp` on this pair, where they are not its defaults."""
        return PROTECT | self.protect


RECORD = {
    "mnist-usps": Pair(
        "mnist",
        "usps",
        {"epochs": 4},
        # Of the budgets of either protocol every second or so, without the largest.
        {"budgets": "8,74,682"},
        {"budgets": "13,63,315,1259", "controls": "unprotected"},
    ),
    "usps-mnist": Pair("usps", "mnist", {"epochs": 20}, _FEW),
    "blended-mnist": Pair("blended:mnist", "mnist", {"epochs": 6}, _FEW),
    "syndigits-blended": Pair("syndigits", "blended:syndigits", {"epochs": 20}, _FEW),
    "optdigits-blended": Pair(
        "optdigits",
        "blended:optdigits",
        # 616 images to train on.
        {"epochs": 100, "width": 16},
        {"budgets": "8,58,420"},
        {"budgets": "58,156,420", "controls": "unprotected,magnitude"},
        # One of the 103 validation images is a point.
        {"max_source_drop": 1.0},
    ),
    "cifar5-cifar5": Pair(
        _CIFAR.format("airplane,automobile,bird,cat,deer"),
        _CIFAR.format("dog,frog,horse,ship,truck"),
        {"epochs": 30},
        _FEW,
    ),
}
PAIRS = RECORD | {
    # A study makes dozens of releases: the first pair with a network of a quarter of the size and
    # a quarter of the outer steps.
    "mnist-usps-narrow": Pair("mnist", "usps", {"epochs": 4, "width": 16}, protect={"finish": 300}),
}
# A quarter of the point that may be lost is left for what validation cannot foresee of the test.
PROTECT: dict[str, Any] = {"sparsity": 0.85, "max_source_drop": 0.75}


def named_pair(name: str) -> Pair:
    """The pair called `name`.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in PAIRS:
        raise UnknownNameError("pair", name, PAIRS)
    return PAIRS[name]


def options(values: Mapping[str, Any]) -> list[str]:
    """`--name value` for each of `values`."""
    return [part for name, value in values.items() for part in (f"--{name}", str(value))]


def pretrain_command(pair: Pair, base: str) -> list[str]:
    """Arguments of `ntprune` that train the pair's model into the folder `base`."""
    given = {"model": "convnet", "size": 16} | pair.pretrain
    return ["pretrain", "--source", pair.source, *options(given), "--out", base]


def protect_command(
    pair: Pair,
    base: str,
    release: str,
    settings: Mapping[str, Any],
    method: str = "ntp",
    *,
    targets: Sequence[str] = (),
) -> list[str]:
    """Arguments of `ntprune` that protect the model in `base` into the folder `release`.

    Against `targets`, or that of `pair` if none are given.
    """
    own = {"sparsity": "--sparsity", "max_source_drop": "--max-source-drop"}
    named = [part for name in targets or (pair.target,) for part in ("--target", name)]
    parts = ["protect", base, *named, "--method", method]
    for name, value in settings.items():
        parts += [own[name], str(value)] if name in own else ["--set", f"{name}={value}"]
    return [*parts, "--out", release]
