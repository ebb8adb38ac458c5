"""What an audit reports: pure functions of arrays."""

from ntprune.metrics.intervals import mean_interval, paired_interval
from ntprune.metrics.slc import mean_gap, slc_auc

__all__ = ["mean_gap", "mean_interval", "paired_interval", "slc_auc"]
