"""What protection without a known target costs, and what it buys on targets it never saw.

`python -m ntprune.experiments.unseen --out runs/unseen --results results/unseen`

One model is protected twice, against synthetic neighbours of its source (`--target none`) and
against a named target; both releases are audited on the named target and on others that neither
has seen. A stage that is done is not run again; one that was stopped is taken up where it was.
"""

from __future__ import annotations

from dataclasses import replace

from ntprune.experiments.common.crossed import Against, plain, study
from ntprune.experiments.common.named_pairs import PAIRS
from ntprune.experiments.study.workshop import AUDIT

# The studies' network and their reduction of the protocol, since there are four audits, but all of
# the method's steps.
PAIR = replace(PAIRS["mnist-usps-narrow"], audit=AUDIT, protect={})
UNSEEN = ("blended:mnist",)


def main() -> None:
    """Run the study and write its summary."""
    study(__doc__, "unseen", PAIR, releases(PAIR.target), (PAIR.target, *UNSEEN))


def releases(target: str) -> dict[str, Against]:
    """Protection against no target and against the domain `target`."""
    return {f"against-{plain(name)}": Against((name,)) for name in ("none", target)}


if __name__ == "__main__":
    main()
