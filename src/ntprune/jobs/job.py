"""A job: a pure function from a JSON spec to a JSON result."""

from __future__ import annotations

import hashlib
import importlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from typing import Any

import torch

from ntprune.jobs.context import Context

# To be raised with every change of what a job of the same spec returns: an attack, the search, the
# form of a result. Finished jobs of other revisions are not found.
REVISION = 10
_VERSIONS = {
    "ntprune": version("ntprune"),
    "revision": REVISION,
    "torch": torch.__version__,
    "torchvision": version("torchvision"),
}


def _canonical(document: dict[str, Any]) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)


@dataclass(frozen=True)
class Job:
    """What is to be done, in JSON.

    Attributes:
        function: `module:name` of a top-level function `(spec, context) -> result` inside ntprune.
        spec: JSON values only. It names data by content hash, never by place, so that the same work
            has the same id everywhere.
        steps: optimiser steps it will take, for estimates of time; no part of its identity.
    """

    function: str
    spec: dict[str, Any]
    steps: int = field(default=0, compare=False)

    @cached_property
    def id(self) -> str:
        """The first 32 hexadecimal digits of the SHA-256 of the canonical spec and the versions.

        Another version of this package or of torch may compute something else, so it finds nothing
        of what an older one has left in a ledger.
        """
        document = {"function": self.function, "spec": self.spec, "versions": _VERSIONS}
        return hashlib.sha256(_canonical(document).encode()).hexdigest()[:32]

    @property
    def canonical(self) -> str:
        """The spec as JSON, the same for the same values."""
        return _canonical(self.spec)

    def run(self, context: Context) -> dict[str, Any]:
        """Do the work in this process."""
        module, _, name = self.function.partition(":")
        # A spec read from a file must not be able to name any function of the machine.
        if module.split(".")[0] != "ntprune":
            raise ValueError(f"jobs run functions of ntprune only, not '{self.function}'")
        result: dict[str, Any] = getattr(importlib.import_module(module), name)(self.spec, context)
        return result
