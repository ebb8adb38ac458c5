"""The run of the preset as a whole."""

from __future__ import annotations

from ntprune.methods.base import Defence, Method, Outcome
from ntprune.methods.paper.iterations import Iterations
from ntprune.methods.paper.settings import PaperSettings
from ntprune.methods.registry import method


@method
class PaperNTP(Method):
    """Non-Transferable Pruning as its authors run it. The source accuracy is not looked at."""

    name = "ntp"
    preset = "paper"
    summary = "ntp as its authors run it: their objective, updates, settings and stopping rule"
    reference = "Ding et al., ECCV 2024 (arXiv 2410.08015)"
    needs_target = True
    keeps_constraint = True
    Settings = PaperSettings
    settings: PaperSettings

    def run(self, work: Defence) -> Outcome:
        """Fit the target heads, then iterate W-, Z- and U-steps until the stopping rule holds."""
        total = self.settings.iterations
        iterations = Iterations(self.settings, work)
        if saved := work.resume():
            iterations.load_state_dict(saved)
            work.progress("iterations", iterations.done, total, "taken up again")
        while not iterations.ended:
            masked = iterations.advance()
            work.save(iterations.state_dict())
            work.progress("iterations", iterations.done, total, f"masked {100 * masked:.1f} %")
        return iterations.outcome()
