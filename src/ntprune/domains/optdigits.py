"""The scanned digits that scikit-learn ships: the UCI Optdigits test set, 1,797 scans of 8×8.

Source: E. Alpaydin and C. Kaynak, UCI Machine Learning Repository, 1998 (CC BY 4.0).
"""

from __future__ import annotations

import torch

from ntprune.domains.domain import Split
from ntprune.domains.draws import generator
from ntprune.domains.rawset import DIGITS, RawSet, Request
from ntprune.domains.registry import register
from ntprune.domains.splits import cut, deal, hold_out_test


def scans(share: str) -> RawSet:
    """Half of the scans, 8×8 grey: `share` is "plain" or "blended", and the two share none.

    The halves are dealt separately for test and the rest, by permutations no seed can move, so
    that a scan which one domain trains on is never in the other's test split.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    pixels = torch.from_numpy(bunch.images).unsqueeze(1)
    everything = Split(
        (pixels * (255 / 16)).round().to(torch.uint8), torch.from_numpy(bunch.target).long()
    )
    rest, test = hold_out_test(everything, DIGITS, "optdigits")
    return RawSet(_half(rest, "rest", share), _half(test, "test", share), DIGITS)


def _half(split: Split, part: str, share: str) -> Split:
    plain, blended = cut(split, deal(split.labels, 0.5, generator("optdigits", "share", part)))
    return plain if share == "plain" else blended


@register("optdigits", summary="899 real scanned digits, grey 16×16, embedded", size=16)
def load(request: Request) -> RawSet:
    """The plain half of the scans."""
    return scans("plain")
