"""What an audit reports, and what may foretell it: pure functions of arrays."""

from ntprune.metrics.calibration import calibrated_cross_entropy
from ntprune.metrics.intervals import mean_interval, paired_interval, paired_share_interval
from ntprune.metrics.logme import logme
from ntprune.metrics.probe import probe_loss
from ntprune.metrics.ranking import Agreement, rank_agreement
from ntprune.metrics.slc import mean_gap, slc_auc

__all__ = [
    "Agreement",
    "calibrated_cross_entropy",
    "logme",
    "mean_gap",
    "mean_interval",
    "paired_interval",
    "paired_share_interval",
    "probe_loss",
    "rank_agreement",
    "slc_auc",
]
