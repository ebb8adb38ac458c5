"""Protect a released neural network from being fine-tuned for what its owner never allowed.

The verbs: `pretrain`, `protect`, `audit`, `load`; beside them `domain`, `wrap` and `slc_auc`.
Names are imported when they are first used, so that `import ntprune` doesn't import torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ntprune import audit as audit
    from ntprune.domains import domain as domain
    from ntprune.methods import pretrain as pretrain
    from ntprune.methods import protect as protect
    from ntprune.metrics import mean_gap as mean_gap
    from ntprune.metrics import slc_auc as slc_auc
    from ntprune.models import wrap as wrap
    from ntprune.release import load as load

_WHERE = {
    "domain": "ntprune.domains",
    "load": "ntprune.release",
    "mean_gap": "ntprune.metrics",
    "pretrain": "ntprune.methods",
    "protect": "ntprune.methods",
    "slc_auc": "ntprune.metrics",
    "wrap": "ntprune.models",
}

__all__ = [
    "audit",
    "domain",
    "load",
    "mean_gap",
    "pretrain",
    "protect",
    "slc_auc",
    "wrap",
]


def __getattr__(name: str) -> Any:
    if name == "audit":
        return importlib.import_module("ntprune.audit")
    if name in _WHERE:
        return getattr(importlib.import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'ntprune' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
