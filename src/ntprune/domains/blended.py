"""`blended:<name>`: a grey digit over a crop of a real photograph, by absolute difference.

Source: the MNIST-M recipe of Y. Ganin and V. Lempitsky, "Unsupervised Domain Adaptation by
Backpropagation", ICML 2015, with the two photographs that scikit-learn ships in place of BSDS500.
"""

from __future__ import annotations

import torch

from ntprune.domains.blocks import at_once, blocks
from ntprune.domains.domain import Split
from ntprune.domains.draws import generator
from ntprune.domains.photographs import crops, photographs
from ntprune.domains.rawset import RawSet, Request
from ntprune.domains.registry import register
from ntprune.domains.resize import resize
from ntprune.domains.scans import digit_scans
from ntprune.domains.torchvision_sets import BENCHMARKS, fetcher

BLOCK = 2048  # images at a time: bounds the crops held as float


def load(request: Request) -> RawSet:
    """Blend the scans set aside for this purpose (see `scans`), at the requested size."""
    assert request.size is not None
    name = request.argument
    scans = digit_scans(name, request.root)
    assert scans.test is not None
    return RawSet(
        _blend(scans.rest, request.size, generator("blended", name, "rest")),
        _blend(scans.test, request.size, generator("blended", name, "test")),
        scans.classes,
    )


register("blended:<name>", summary="a grey digit domain over random crops of real photographs")(
    load
)
for _name, _size, _note in (
    ("optdigits", 16, "898 scans that optdigits leaves aside"),
    ("syndigits", 16, "7,500 fresh white digits"),
    ("mnist", 28, "shares scans with the plain domain"),
    ("usps", 16, "shares scans with the plain domain"),
):
    register(
        f"blended:{_name}",
        summary=f"{_name} over photographs, RGB {_size}×{_size}; {_note}",
        size=_size,
        fetch=fetcher(_name) if _name in BENCHMARKS else None,
    )(load)


def _blend(digits: Split, size: int, stream: torch.Generator) -> Split:
    photos = photographs()
    blended = []
    for block in blocks(resize(digits.images, size), at_once(BLOCK, size)):
        ground = crops(photos, len(block), size, stream)
        blended.append((ground - block.float()).abs_().round_().to(torch.uint8))
    return Split(torch.cat(blended), digits.labels)
