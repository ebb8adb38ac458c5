"""What protection against two targets at once leaves to a thief of either.

`python -m ntprune.experiments.several --out runs/several --results results/several`

One model is protected against each of two targets alone and against both, by their mean and by
the worse of the two; every release is audited on both. A stage that is done is not run again; one
that was stopped is taken up where it was.
"""

from __future__ import annotations

from dataclasses import replace

from ntprune.experiments.common.crossed import Against, plain, study
from ntprune.experiments.common.named_pairs import PAIRS
from ntprune.experiments.study.workshop import AUDIT

# The studies' network, number of steps and reduction of the protocol: there are eight audits.
PAIR = replace(PAIRS["mnist-usps-narrow"], audit=AUDIT)
SECOND = "blended:mnist"


def main() -> None:
    """Run the study and write its summary."""
    study(__doc__, "several", PAIR, releases(PAIR.target, SECOND), (PAIR.target, SECOND))


def releases(first: str, second: str) -> dict[str, Against]:
    """Protection against two domains at once, and against each of them alone."""
    both = (first, second)
    return {
        "against-both-by-the-mean": Against(both),
        "against-both-by-the-worst": Against(both, {"combine": "worst"}),
        f"against-{plain(first)}": Against((first,)),
        f"against-{plain(second)}": Against((second,)),
    }


if __name__ == "__main__":
    main()
