"""Makes and audits one variant at a time, by the commands a user would type."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ntprune.errors import ConstraintError, TrainingDivergedError
from ntprune.experiments.common.named_pairs import Pair, options, pretrain_command, protect_command
from ntprune.experiments.common.stages import (
    Command,
    Say,
    StageError,
    note,
    noted,
    run_stage,
    shown,
    typed,
)
from ntprune.experiments.study.variants import Variant
from ntprune.methods import method_class

# A study compares many releases by the thief who ignores the mask, at few budgets; what the audit
# leaves out of its protocol is said in the protocol's name.
AUDIT = {
    "protocol": "standard/1",
    "budgets": "16,128",
    "attacks": "finetune,finetune-new-head,rescale,last-stage",
    "controls": "unprotected",
}


@dataclass(frozen=True)
class Stage:
    """A command that has not been run yet, and the folder where it is noted."""

    name: str
    arguments: list[str]
    folder: Path


@dataclass(frozen=True)
class Workshop:
    """Everything made of one pair with one base model.

    Attributes:
        pair: the domains, and how the model is pretrained, protected and audited.
        out: folder that may hold other workshops, too.
        seed: of the base model.
        workers: jobs of an audit at a time.
        common: options that every command is given.
        command: runs a command.
    """

    pair: Pair
    out: Path
    seed: int = 0
    workers: int = 1
    common: tuple[str, ...] = ()
    command: Command = typed

    @property
    def folder(self) -> Path:
        """Named by what the base model depends on: another base has another folder."""
        pair = self.pair
        content = [pair.source, pair.target, pair.pretrain, self.seed]
        return self.out / f"{_plain(pair.source)}-{_plain(pair.target)}-{_digest(content)}"

    def place(self, variant: Variant, seed: int) -> Path:
        """Named by what the release depends on, so that studies share what they have in common."""
        # Whole settings, so that what was made by other defaults isn't taken for today's.
        settings = method_class(variant.method).Settings(**variant.settings)
        content = [variant.method, settings.model_dump(mode="json")]
        return self.folder / f"{variant.method}-{_digest(content)}-s{seed}"

    def pending(self, variant: Variant, seed: int) -> list[Stage]:
        """What has to be run before the variant is measured; nothing if it was refused."""
        place = self.place(variant, seed)
        if "refused" in noted(place, "protect"):
            return []
        base, release, audit = self.folder / "base", place / "release", place / "audit"
        stages = (
            (Stage("pretrain", self._pretrain(base), self.folder), base),
            (Stage("protect", self._protect(base, release, variant, seed), place), release),
            (Stage("audit", self._audit(release, audit), place), audit / "report.json"),
        )
        return [stage for stage, product in stages if not product.exists()]

    def make(self, variant: Variant, seed: int, say: Say) -> None:
        """Run what is pending. What can't be released is noted: it is a finding.

        That is a constraint that no checkpoint keeps, and a loss that doesn't stay finite.

        Raises:
            StageError: a command found another mistake.
            RuntimeError: a command failed.
        """
        for stage in self.pending(variant, seed):
            try:
                run_stage(stage.name, stage.arguments, stage.folder, say=say, command=self.command)
            except StageError as error:
                lost = ConstraintError.lost_in(str(error))
                if stage.name != "protect" or (
                    lost is None and not TrainingDivergedError.said_in(str(error))
                ):
                    raise
                note(
                    stage.folder,
                    stage.name,
                    command=shown(stage.arguments),
                    refused=str(error),
                    lost_pp=lost,
                )
                return

    def _pretrain(self, base: Path) -> list[str]:
        return [*pretrain_command(self.pair, str(base)), "--seed", str(self.seed), *self.common]

    def _protect(self, base: Path, release: Path, variant: Variant, seed: int) -> list[str]:
        command = protect_command(
            self.pair, str(base), str(release), variant.settings, variant.method
        )
        return [*command, "--seed", str(seed), *self.common]

    def _audit(self, release: Path, audit: Path) -> list[str]:
        engine = "process" if self.workers > 1 else "inline"
        running = {"engine": engine, "workers": self.workers, "ledger": self.folder / "jobs"}
        command = ["audit", str(release), "--target", self.pair.target, "--out", str(audit)]
        return [*command, *options(AUDIT | self.pair.audit | running), *self.common]


def _digest(content: list[Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]


def _plain(name: str) -> str:
    """A domain's name without what a file name had better not hold."""
    return "".join(c if c.isalnum() else "_" for c in name)[-24:].strip("_")
