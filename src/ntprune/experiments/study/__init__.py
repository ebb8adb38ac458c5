"""What the studies share: variants of a defence, each protected and audited, side by side.

In the order of the data: `variants` (what is compared), `workshop` (the commands that make and
audit one), `record` (what came out), `publish` with `table` and `drawing` (what is written), `run`.
"""

from ntprune.experiments.study.publish import require_own
from ntprune.experiments.study.run import outstanding, run
from ntprune.experiments.study.variants import Study, Variant
from ntprune.experiments.study.workshop import Workshop

__all__ = ["Study", "Variant", "Workshop", "outstanding", "require_own", "run"]
