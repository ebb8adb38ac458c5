"""Every fake defence, its sales pitch, and what an audit must say of it."""

from __future__ import annotations

from tests.fakes.fake import PUBLISHED, Fake, Pitch
from tests.fakes.head import misaligned_head
from tests.fakes.mask import polite_mask
from tests.fakes.normalisation import dead_relus, scrambled_batchnorm
from tests.fakes.scale import large_logits, scaled_convs, small_logits

_FIXED = {"lr": 3e-3, "steps": 100, "batch": 64}
# Its features are all there.
_ENCODER = frozenset({"same-encoder"})
# And what puts scales right may gain on what does not.
_SCALES = _ENCODER | {"normalisation-games"}

FAKES = (
    Fake(
        "fake-scaled-convs",
        scaled_convs,
        # With a few hundred images features that stand still serve as well as any.
        Pitch(
            "AdamW at 3e-3, 2,048 images, 300 steps", **(_FIXED | {"samples": 2048, "steps": 300})
        ),
        loses=0.0,
        flags=frozenset({"unusual-scale"}),
        also=_SCALES,
    ),
    Fake(
        "fake-scrambled-batchnorm",
        scrambled_batchnorm,
        Pitch(PUBLISHED),
        loses=0.0,
        flags=frozenset({"unusual-scale", "normalisation-games"}),
        also=_ENCODER,
    ),
    Fake(
        "fake-dead-relus",
        dead_relus,
        Pitch("AdamW at 3e-3, 256 images, 100 steps", **_FIXED),
        loses=0.0,
        flags=frozenset({"unusual-scale", "normalisation-games"}),
        also=_ENCODER,
    ),
    Fake(
        "fake-misaligned-head",
        misaligned_head,
        Pitch("AdamW at 1e-3, 64 images, 30 steps", samples=64, steps=30, lr=1e-3, batch=64),
        loses=3.0,
        flags=frozenset({"head-only"}),
        # What it learns against the target makes the classifier larger, too.
        also=_ENCODER | {"unusual-scale"},
    ),
    Fake(
        "fake-large-logits",
        large_logits,
        Pitch("SGD at 1e-2, 256 images, 100 steps", **(_FIXED | {"lr": 1e-2, "optimiser": "sgd"})),
        loses=0.0,
        flags=frozenset({"unusual-scale"}),
        also=_SCALES,
    ),
    Fake(
        "fake-small-logits",
        small_logits,
        Pitch("AdamW at 1e-3, 32 images, 30 steps", samples=32, steps=30, lr=1e-3, batch=64),
        loses=0.0,
        flags=frozenset({"unusual-scale"}),
        also=_SCALES,
    ),
    Fake(
        "fake-polite-mask",
        polite_mask,
        Pitch(PUBLISHED),
        loses=10.0,
        flags=frozenset({"plain-mask"}),
        # Only where the steps are enough for the weights that come back to count.
        also=frozenset({"mask-free-stronger"}),
        share=0.6,
    ),
)
