"""Every fake defence, its sales pitch, and what an audit must say of it."""

from __future__ import annotations

from tests.fakes.fake import PUBLISHED, Fake, Pitch
from tests.fakes.head import misaligned_head
from tests.fakes.mask import polite_mask
from tests.fakes.normalisation import dead_relus, scrambled_batchnorm
from tests.fakes.scale import large_logits, scaled_convs, small_logits

_FIXED = {"lr": 3e-3, "steps": 100, "batch": 64}

FAKES = (
    Fake(
        "fake-scaled-convs",
        scaled_convs,
        Pitch("AdamW at 3e-3, 256 images, 100 steps", **_FIXED),
        loses=0.0,
        flags=frozenset({"unusual-scale", "same-encoder", "normalisation-games"}),
    ),
    Fake(
        "fake-scrambled-batchnorm",
        scrambled_batchnorm,
        Pitch(PUBLISHED),
        loses=0.0,
        flags=frozenset({"unusual-scale", "same-encoder", "normalisation-games"}),
    ),
    Fake(
        "fake-dead-relus",
        dead_relus,
        Pitch("AdamW at 3e-3, 256 images, 100 steps", **_FIXED),
        loses=0.0,
        flags=frozenset({"unusual-scale", "same-encoder", "normalisation-games", "chance-level"}),
    ),
    Fake(
        "fake-misaligned-head",
        misaligned_head,
        Pitch(PUBLISHED),
        loses=2.0,
        flags=frozenset({"head-only", "same-encoder"}),
    ),
    Fake(
        "fake-large-logits",
        large_logits,
        Pitch("SGD at 1e-2, 256 images, 100 steps", **(_FIXED | {"lr": 1e-2, "optimiser": "sgd"})),
        loses=0.0,
        flags=frozenset({"unusual-scale", "same-encoder", "head-only"}),
    ),
    Fake(
        "fake-small-logits",
        small_logits,
        Pitch("AdamW at 1e-3, 32 images, 30 steps", samples=32, steps=30, lr=1e-3, batch=64),
        loses=0.0,
        flags=frozenset({"unusual-scale", "same-encoder"}),
    ),
    Fake(
        "fake-polite-mask",
        polite_mask,
        Pitch(PUBLISHED),
        loses=10.0,
        flags=frozenset({"mask-free-stronger", "plain-mask"}),
        share=0.6,
    ),
)
