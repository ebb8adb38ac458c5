"""What the jobs of an audit are told apart by."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.release.toys import PROTOCOL, toy
from torch import nn

from ntprune.audit import prepare
from ntprune.audit.plan import Plan, source_of


def test_own_networks_and_attacks_are_told_apart_by_their_code(pristine: Path) -> None:
    """A ledger would hand one what another of its name did, or a report would mix the two."""
    found: dict[str, set[str]] = {}
    for change in (None, None, nn.Identity(), Silent()):
        plan = prepare(pristine, toy(1), protocol=PROTOCOL, source=toy(0)).plan
        if change is not None:
            plan.release.model.module.add_module("more", change)
        jobs = {
            "scratch": plan.scratch_jobs()[0],
            "attack": plan.attack_jobs("finetune", plan.weights)[0],
            "source": plan.source_job(plan.weights),
            "null": plan.null_job(),
            "control": plan.control_jobs()["random"],
        }
        for kind, job in jobs.items():
            found.setdefault(kind, set()).add(job.id)
    assert {kind: len(ids) for kind, ids in found.items()} == dict.fromkeys(found, 3)
    assert source_of(Silent).startswith("class Silent(Quiet)")
    assert "class Quiet" in source_of(Silent)
    assert source_of(nn.Identity) == source_of(Plan) == ""


def test_what_a_job_reads_beside_the_weights_is_part_of_it(pristine: Path) -> None:
    """With one ledger, a file that was changed would get the results of what it was before."""
    changes: list[Callable[[dict[str, Any]], object]] = [
        lambda card: None,
        lambda card: card["model"]["preprocessing"].update(std=[0.5]),
        lambda card: card.update(masks_sha256="0" * 64),
    ]
    found = set()
    for change in changes:
        plan = prepare(pristine, toy(1), protocol=PROTOCOL, source=toy(0)).plan
        changed = json.loads(plan.release.card.model_dump_json(by_alias=True))
        change(changed)
        card = type(plan.release.card).model_validate(changed)
        plan = replace(plan, release=replace(plan.release, card=card))
        jobs = [plan.attack_jobs("masked", plan.weights)[0], plan.null_job()]
        jobs.append(plan.source_job(plan.weights))
        found.add(tuple(job.id for job in jobs) + (str(plan.document()),))
    assert [len({each[i] for each in found}) for i in range(4)] == [3] * 4


class Quiet(nn.Module):
    """Not ntprune's and not torch's."""


class Silent(Quiet):
    """A layer of the user's own, derived from another."""
