"""Non-Transferable Pruning: ADMM on a source, a target and a Fisher-space term (docs/method.md).

Ding, Su, Ding, Fei: Non-transferable Pruning, ECCV 2024 (arXiv 2410.08015).

In the order of the data: `settings`, `method` (the whole run), `objective` (what is minimised, with
the `target_head`s), `run` (what the phases share), `rounds` (ADMM, which chooses the support),
`recovery` (of what pruning cost the source), `finish` (masked training against the thieves of
`lookahead`), with the `controller` that keeps the source, the `scales` that a push may be held to,
the `levels` that a checkpoint is brought back to and the `strength` that it is ranked by.
"""

from ntprune.methods.ntp.method import NTP
from ntprune.methods.ntp.settings import NTPSettings

__all__ = ["NTP", "NTPSettings"]
