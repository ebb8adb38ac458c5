"""Which jobs an audit consists of."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ntprune.attacks import attack_class
from ntprune.audit.protocol import Protocol, procedure
from ntprune.jobs import Job
from ntprune.models import ModelSpec
from ntprune.release import Release

_ATTACK = "ntprune.audit.tasks:attack_point"
_NULL = "ntprune.audit.tasks:untouched"
_SOURCE = "ntprune.audit.tasks:source_accuracy"
_CONTROL = "ntprune.audit.tasks:make_control"


@dataclass(frozen=True)
class Plan:
    """What is attacked, with what, by the rules of which protocol.

    Attributes:
        protocol: the rules.
        budgets: the grid.
        target, source: content hashes.
        classes: of the target.
        release: what is attacked.
        base: SHA-256 of the weights of the unprotected model.
    """

    protocol: Protocol
    budgets: tuple[int, ...]
    target: str
    source: str
    classes: tuple[str, ...]
    release: Release
    base: str

    @property
    def weights(self) -> str:
        """SHA-256 of the released weights."""
        return self.release.card.weights_sha256

    def about(self, weights: str) -> str:
        """SHA-256 of what else a job reads of the file with those `weights`.

        Classes, preprocessing and masks change what comes of the same weights. Controls have the
        masks that they were trained with.
        """
        card = self.release.card
        masks = card.masks_sha256 if weights == self.weights else None
        text = json.dumps([card.model.model_dump(mode="json"), masks], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @cached_property
    def network(self) -> str:
        """SHA-256 of the network's structure, and of its code as far as that is the user's own.

        A network may be changed under its name, and a ledger would hand out what the former did.
        """
        net = self.release.model.module
        shapes = [(name, tuple(value.shape)) for name, value in net.state_dict().items()]
        layers = sorted({source_of(type(layer)) for layer in net.modules()})
        return hashlib.sha256("\0".join([repr(net), str(shapes), *layers]).encode()).hexdigest()

    def document(self) -> dict[str, Any]:
        """What must be the same for an audit to be taken up again."""
        return {
            "protocol": self.protocol.model_dump(mode="json"),
            "budgets": list(self.budgets),
            "target": self.target,
            "source": self.source,
            "release": self.weights,
            "card": self.about(self.weights),
            "base": self.base,
        }

    def control_jobs(self) -> dict[str, Job]:
        """Training jobs of the controls at the release's sparsity and with its steps."""
        card = self.release.card
        steps = max(1, card.steps)
        settings = {"sparsity": card.sparsity, "steps": steps}
        return {
            name: Job(
                _CONTROL,
                {
                    "method": name,
                    "settings": settings,
                    "base": self.base,
                    "card": self.about(self.base),
                    "source": self.source,
                    "seed": card.seed,
                    "network": self.network,
                },
                steps=steps,
            )
            for name in self.protocol.controls
            if name in ("magnitude", "random")
        }

    def source_job(self, weights: str) -> Job:
        """Source test accuracy of the file with those weights."""
        return Job(_SOURCE, self._file(weights) | {"source": self.source})

    def null_job(self) -> Job:
        """The release on the target without any training."""
        return Job(_NULL, self._file(self.weights) | {"target": self.target})

    def _file(self, weights: str) -> dict[str, Any]:
        return {"release": weights, "card": self.about(weights), "network": self.network}

    def attacks_on(self, subject: str) -> list[str]:
        """Attacks on the release or on a control that can be made."""
        if subject == "release":
            return self.applicable(self.protocol.attacks)
        return self.applicable(self.protocol.controls.get(subject, ()))

    def point_jobs(self, weights: dict[str, str]) -> dict[tuple[str, str], list[Job]]:
        """All points, by subject and attack.

        Args:
            weights: SHA-256 of the weights of the release and of each control.
        """
        attacked = {
            (subject, attack): self.attack_jobs(attack, file)
            for subject, file in weights.items()
            for attack in self.attacks_on(subject)
        }
        scratch = {("scratch", name): self.scratch_jobs(name) for name in self.yardsticks}
        return scratch | attacked

    def single_jobs(self, weights: dict[str, str]) -> dict[str, Job]:
        """Source accuracies by subject, and the untouched release on the target (`null`)."""
        jobs = {subject: self.source_job(file) for subject, file in weights.items()}
        if "null" in self.protocol.controls and self.applicable(["null"]):
            jobs["null"] = self.null_job()
        return jobs

    @property
    def yardsticks(self) -> list[str]:
        """Training from scratch by every recipe that a thief of the release may use."""
        return ["scratch", *(f"scratch@{name}" for name in self.protocol.variants)]

    def scratch_jobs(self, scratch: str = "scratch") -> list[Job]:
        """The yardstick. It names no release, so every audit of the blueprint shares it."""
        blueprint = self.release.model.spec.model_copy(update={"classes": self.classes})
        return self._points(scratch, None, blueprint)

    def attack_jobs(self, attack: str, weights: str) -> list[Job]:
        """One attack on one file over all budgets and seeds."""
        return self._points(attack, weights, None)

    def applicable(self, attacks: Iterable[str]) -> list[str]:
        """Those of `attacks` that can be made on this release and target."""
        return [
            a for a in attacks if attack_class(procedure(a)).applies(self.release, self.classes)
        ]

    def _points(self, attack: str, weights: str | None, model: ModelSpec | None) -> list[Job]:
        recipe = self.protocol.recipe_of(attack)
        kind = procedure(attack)
        if not attack_class(kind).threat.labels:
            # Held-out images without labels tell no rate from another.
            recipe = recipe.model_copy(update={"lrs": (recipe.usual,)})
        code = source_of(attack_class(kind)) or None
        needs = {"source": self.source} if attack_class(kind).threat.source else {}
        return [
            Job(
                _ATTACK,
                {
                    "attack": kind,
                    "release": weights,
                    "card": self.about(weights) if weights else None,
                    "model": model.model_dump(mode="json") if model else None,
                    "code": code,
                    "network": self.network,
                    "target": self.target,
                    "n": n,
                    "seed": seed,
                    "recipe": recipe.model_dump(mode="json"),
                }
                | needs,
                steps=recipe.total_steps(n),
            )
            # Large budgets first: the longest jobs must not be the last to start.
            for n in sorted(self.budgets, reverse=True)
            for seed in self.protocol.thieves
        ]


def source_of(kind: type) -> str:
    """The code of a class and of those it is derived from, without ntprune's, torch's, Python's.

    "" where there is none, or none to be had.
    """
    found = []
    for each in kind.__mro__:
        if each.__module__.partition(".")[0] in ("ntprune", "torch", "torchvision", "builtins"):
            continue
        try:
            found.append(inspect.getsource(each))
        except (OSError, TypeError):
            continue
    return "".join(found)
