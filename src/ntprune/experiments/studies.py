"""Studies by name."""

from __future__ import annotations

from ntprune.errors import UnknownNameError
from ntprune.experiments.ablation import ABLATION
from ntprune.experiments.frontier import FRONTIER
from ntprune.experiments.sparsity import SPARSITY
from ntprune.experiments.study import Study

STUDIES = {study.name: study for study in (FRONTIER, ABLATION, SPARSITY)}


def named_study(name: str) -> Study:
    """The study called `name`.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in STUDIES:
        raise UnknownNameError("experiment", name, STUDIES)
    return STUDIES[name]
