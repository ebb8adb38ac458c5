"""What a thief does with a release and a few labelled target images."""

from ntprune.attacks import (  # noqa: F401  (they register themselves)
    bn_finetune,
    distill,
    finetune,
    last_stage,
    lora,
    mix,
    null,
    probe,
    regrow,
    rescale,
    scratch,
    shot,
    shrink_perturb,
    transntl,
)
from ntprune.attacks.base import Attack, Stolen
from ntprune.attacks.registry import attack, attack_class, attack_names, make_attack
from ntprune.attacks.theft import Theft, ThreatModel

__all__ = [
    "Attack",
    "Stolen",
    "Theft",
    "ThreatModel",
    "attack",
    "attack_class",
    "attack_names",
    "make_attack",
]
