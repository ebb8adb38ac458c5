"""BatchNorm statistics of the target, held while everything is trained."""

from __future__ import annotations

from typing import Any

from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import clip_grad_norm_

from ntprune.attacks.base import Attack
from ntprune.attacks.registry import attack
from ntprune.attacks.theft import Theft, ThreatModel
from ntprune.engine import TrainLog, reestimate_batchnorm


@attack
class BatchNormFineTune(Attack):
    """Running statistics are re-estimated on the thief's images without labels, then held.

    Statistics of another domain's images restore much of a network's accuracy there before any
    weight is touched (Li et al. 2018). Plain fine-tuning normalises by each batch and so never uses
    them. Here BatchNorm stays in eval mode: training sees the very function that is used later,
    whatever statistics the release came with, and small batches add no noise. Nor do they damp
    steps that are too long, so the gradient's norm is clipped.
    """

    name = "bn-finetune"
    summary = "BatchNorm statistics re-estimated on the target and held, then all weights"
    threat = ThreatModel(
        weights=True,
        labels=True,
        source=False,
        mask="free",
        head="any",
        knowledge="the architecture",
    )
    holds_statistics = True
    CLIP = 1.0

    def run(self, theft: Theft) -> TrainLog:
        """Re-estimate, then fine-tune with BatchNorm in eval mode."""
        module = theft.model.module
        layers = [layer for layer in module.modules() if isinstance(layer, _BatchNorm)]
        reestimate_batchnorm(theft.model, theft.samples)
        for layer in layers:
            if layer.running_var is not None:
                # A pruned channel gives zero whatever it is divided by; divided by nothing it
                # would explode as soon as it grows.
                dead = layer.running_var <= 1e-6 * layer.running_var.max()
                layer.running_var.masked_fill_(dead, 1.0)

        def mode() -> None:
            module.train()
            for layer in layers:
                layer.eval()

        def clip(*_: Any) -> None:
            clip_grad_norm_(module.parameters(), self.CLIP)

        return theft.train(mode=mode, prepare=lambda opt: opt.register_step_pre_hook(clip))
