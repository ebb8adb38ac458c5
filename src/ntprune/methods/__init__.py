"""What a defender does: `ntp`, and the controls it is measured against."""

from ntprune.methods import (  # noqa: F401  (they register themselves)
    admm,
    magnitude,
    none,
    ntp,
    paper,
    random,
)
from ntprune.methods.base import Method
from ntprune.methods.pretrain import pretrain
from ntprune.methods.protect import protect
from ntprune.methods.registry import (
    make_method,
    method,
    method_class,
    method_names,
    preset_names,
)

__all__ = [
    "Method",
    "make_method",
    "method",
    "method_class",
    "method_names",
    "preset_names",
    "pretrain",
    "protect",
]
