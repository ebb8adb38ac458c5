"""The run of `ntp` as a whole."""

from __future__ import annotations

from ntprune.engine import reestimate_batchnorm
from ntprune.methods.base import Defence, Method, Outcome
from ntprune.methods.ntp.finish import Finish
from ntprune.methods.ntp.rounds import Rounds
from ntprune.methods.ntp.run import Run
from ntprune.methods.ntp.settings import NTPSettings
from ntprune.methods.registry import method
from ntprune.sparsity import GlobalMagnitude, MaskSet


@method
class NTP(Method):
    """Prune by ADMM so that source accuracy stays and target features stop separating classes."""

    name = "ntp"
    summary = "ADMM pruning with a clamped target loss and a Fisher regulariser"
    reference = "Ding et al., ECCV 2024 (arXiv 2410.08015)"
    needs_target = True
    keeps_constraint = True
    Settings = NTPSettings
    settings: NTPSettings

    def run(self, work: Defence) -> Outcome:
        """ADMM rounds, then masked training; the strongest checkpoint inside the constraint."""
        run = Run(self.settings, work)
        masks = self._support(run)
        if self.settings.finish:
            finish = Finish(run, masks)
            while finish.done < self.settings.finish:
                finish.advance()
            finish.settle()
        else:
            masks.apply_(work.model.module)
            reestimate_batchnorm(work.model, work.train)
        return Outcome(masks, run.steps)

    def _support(self, run: Run) -> MaskSet:
        """The weights that stay. After ADMM the model holds Z if no finish follows."""
        if self.settings.support == "magnitude":
            prunable = run.model.prunable()
            largest = GlobalMagnitude(self.settings.ceiling)
            chosen = largest.masks(list(prunable.values()), self.settings.sparsity)
            return MaskSet(dict(zip(prunable, chosen, strict=True)))
        rounds = Rounds(run)
        while rounds.done < self.settings.rounds:
            rounds.advance()
        if not self.settings.finish:
            rounds.settle()
        return rounds.masks()
