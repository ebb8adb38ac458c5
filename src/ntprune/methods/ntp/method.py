"""The run of `ntp` as a whole."""

from __future__ import annotations

from ntprune.methods.base import Method
from ntprune.methods.defence import Defence, Outcome
from ntprune.methods.ntp.finish import Finish
from ntprune.methods.ntp.levels import Levels
from ntprune.methods.ntp.recovery import Recovery
from ntprune.methods.ntp.rounds import Rounds
from ntprune.methods.ntp.run import Run
from ntprune.methods.ntp.scales import Scales
from ntprune.methods.ntp.settings import NTPSettings
from ntprune.methods.registry import method
from ntprune.sparsity import MaskSet


@method
class NTP(Method):
    """Prune by ADMM so that source accuracy stays and target features stop separating classes."""

    name = "ntp"
    summary = "ADMM pruning against target accuracy and features, then against simulated thieves"
    reference = "Ding et al., ECCV 2024 (arXiv 2410.08015)"
    needs_target = True
    Settings = NTPSettings
    settings: NTPSettings

    def run(self, work: Defence) -> Outcome:
        """ADMM rounds, masked training; the strongest checkpoint inside the constraint."""
        levels = Levels(work)
        scales = Scales(work) if self.settings.scales == "held" else None
        run = Run(self.settings, work)
        saved = work.resume()
        begun = saved.get(Finish.name) or saved.get(Recovery.name)
        if begun:
            masks = MaskSet(begun["masks"]).to(work.device)
        else:
            rounds = Rounds(run)
            run.complete(rounds, saved)
            masks = rounds.masks()
            if not self.settings.finish:
                rounds.settle()
                return Outcome(masks, run.steps)
        if Finish.name not in saved:
            recovery = Recovery(run, masks)
            if Recovery.name not in saved:
                recovery.look()
            run.complete(recovery, saved)
        finish = Finish(run, masks, levels, scales)
        run.complete(finish, saved)
        finish.settle()
        return Outcome(masks, run.steps)
