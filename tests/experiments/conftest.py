"""A pair, a workshop and commands so small that a whole study takes seconds."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ntprune.audit import PROTOCOLS, Protocol, Recipe
from ntprune.cli.main import main
from ntprune.experiments.common.named_pairs import Pair
from ntprune.experiments.common.stages import Ended, Say
from ntprune.experiments.study import Workshop

FREE = ("finetune", "finetune-new-head")
RULES = Protocol(
    name="tiny/1",
    points=2,
    last=32,
    seeds=2,
    recipe=Recipe(lrs=(3e-3,), min_steps=1, epochs=0, search_share=1.0),
    attacks=(*FREE, "masked", "masked-new-head", "rescale", "last-stage"),
    controls={"unprotected": FREE, "magnitude": FREE, "random": FREE, "null": ("null",)},
)
PAIR = Pair(
    "optdigits",
    "blended:optdigits",
    {"epochs": 3, "width": 3, "size": 8, "batch": 32},
    {"protocol": RULES.name, "budgets": "10,30"},
    {"protocol": RULES.name, "budgets": "12,30", "controls": "unprotected"},
    {
        "sparsity": 0.6,
        "max_source_drop": 100.0,
        "batch": 32,
        "rounds": 1,
        "inner": 1,
        "finish": 1,
        "recover": 1,
        "refit": 2,
        "depth": 1,
        "every": 1,
    },
)


@dataclass
class Shell:
    """Runs commands in this process and remembers them."""

    typed: list[str] = field(default_factory=list)

    def __call__(self, arguments: Sequence[str], say: Say) -> Ended:
        self.typed.append(" ".join(arguments))
        heard, code = io.StringIO(), 0
        with contextlib.redirect_stderr(heard), contextlib.redirect_stdout(io.StringIO()):
            try:
                main(arguments)
            except SystemExit as end:
                code = int(end.code or 0)
        lines = heard.getvalue().splitlines()
        for line in lines:
            say(line)
        return Ended(code, lines)


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setitem(PROTOCOLS, RULES.name, RULES)
    return Shell()


def workshop(out: Path, shell: Shell, **changes: Any) -> Workshop:
    """That pair in the folder `out`."""
    values = {"pair": PAIR, "common": ("--device", "cpu"), "command": shell} | changes
    return Workshop(out=out, **values)
