"""The preset `paper` of `ntp`: the authors' objective, updates, settings and stopping rule.

Ding, Su, Ding, Fei: Non-transferable Pruning, ECCV 2024 (arXiv 2410.08015);
docs/paper-preset.md. For comparison: each deviation from textbook ADMM is a setting, so that its
effect can be measured by taking it back (`ntprune.experiments.deviations`).

In the order of the data: `settings`, `method` (the whole run), `batches`, `head` (the target's
classifier, fitted once), `w_step` (what is minimised). The updates of Z and U are
`ntprune.sparsity.ShrinkingADMM`.
"""

from ntprune.methods.paper.method import PaperNTP
from ntprune.methods.paper.settings import PaperSettings

__all__ = ["PaperNTP", "PaperSettings"]
