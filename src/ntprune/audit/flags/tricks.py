"""Flags that name a trick: defences that stop one way of fine-tuning and protect nothing.

docs/fakes.md shows each trick and the figure it is sold on.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from ntprune.audit.fingerprint import kept_directions
from ntprune.audit.flags.evidence import Evidence
from ntprune.audit.schema import Flag

# Mean gap that an attack must gain over another before the difference is called one.
_MORE = 0.05
# Share of the unprotected model's mean gap that counts as most of it.
_MOST = 0.6
# Factor on an effective learning rate that takes every rate of the narrowest grid (`quick`: one
# decade) to where none of them was.
_FAR = 10.0
# Share of a layer's channels that may have statistics of their own.
_STRAYS = 0.25
# How far one channel may stand out of its layer. Of what was measured none does by more than 4
# (weights and biases) or 2 (statistics).
_ALONE = 30.0
# Share of filters that makes an encoder the same one, for all that is done to the others.
_NEARLY_ALL = 0.9
# Mean gap by which a defence must beat a plain mask.
_LITTLE = 0.01

_KEPT_AND_FREE = {
    "masked": ("finetune", "regrow"),
    "masked-new-head": ("finetune-new-head",),
}
_NORMALISING = ("rescale", "bn-finetune")
_PLAIN = ("finetune", "finetune-new-head")
_KEPT_HEADS = ("finetune", *_NORMALISING)
_NEW_HEADS = ("finetune-new-head", "linear-probe", "probe-finetune")


def mask_free_stronger(e: Evidence) -> Iterator[Flag]:
    """The mask is the defence."""
    for kept, rivals in _KEPT_AND_FREE.items():
        free = _best(e, rivals)
        if free is None or kept not in e.attacks:
            continue
        difference = e.attacks[free].mean_gap - e.attacks[kept].mean_gap
        if difference > _MORE:
            yield Flag(
                name="mask-free-stronger",
                message=(
                    f"ignoring the mask gains the thief {difference:+.3f} in mean gap "
                    f"({free} against {kept}): the mask-kept figure overstates the protection"
                ),
            )


def normalisation_games(e: Evidence) -> Iterator[Flag]:
    """Scales or statistics are the defence."""
    repaired, plain = _best(e, _NORMALISING), _best(e, _PLAIN)
    if repaired is None or plain is None:
        return
    difference = e.attacks[repaired].mean_gap - e.attacks[plain].mean_gap
    if difference > _MORE:
        yield Flag(
            name="normalisation-games",
            message=(
                f"{repaired} gains {difference:+.3f} in mean gap over {plain}: what held "
                "fine-tuning back is the scale of the weights or the normalisation, which a thief "
                "puts right in one pass"
            ),
        )


def head_only(e: Evidence) -> Iterator[Flag]:
    """The head is the defence: the files show it, or a new head gains what no kept one does."""
    reasons = []
    if _same_encoder(e) and e.head_directions and kept_directions(e.head_directions) < _NEARLY_ALL:
        reasons.append(
            "the filters of the encoder are the unprotected model's and the head's are not"
        )
    new, kept = _best(e, _NEW_HEADS), _best(e, _KEPT_HEADS)
    control = e.controls.get("unprotected")
    # Without `finetune` the target has classes of its own, and no attack keeps the head.
    if new is not None and kept is not None and "finetune" in e.attacks and control is not None:
        gap, whole = e.attacks[new].mean_gap, control.envelope.mean_gap
        difference = gap - e.attacks[kept].mean_gap
        if difference > _MORE and gap >= _MOST * whole > 0:
            reasons.append(
                f"{new} gains {difference:+.3f} in mean gap over {kept}, which keeps the head, and "
                f"reaches {gap / whole:.0%} of the unprotected model's"
            )
    if reasons:
        yield Flag(
            name="head-only",
            message=f"{'; '.join(reasons)}: only the head stands between a thief and the features",
        )


def unusual_scale(e: Evidence) -> Iterator[Flag]:
    """The file itself shows it, before any attack."""
    # A mask does not lower the scale of what it leaves, nor raise that of the whole: each is asked
    # about the direction that pruning does not take.
    large = [n for n, (ours, bare) in e.whole_scales.items() if ours > bare * _far(e, n)]
    small = [n for n, (ours, bare) in e.scales.items() if ours * _far(e, n) < bare]
    stray = [name for name, share in e.strays.items() if share > _STRAYS]
    lone = [n for n, (ours, bare) in e.lone.items() if ours > _ALONE and ours > _FAR * bare]
    seen = [
        f"{words} ({', '.join(names)})"
        for words, names in (
            ("weights far larger than the unprotected model's", large),
            ("weights far smaller than the unprotected model's, or not finite", small),
            ("BatchNorm statistics that source images do not have", stray),
            ("single channels far outside the rest of their layer or of what they read", lone),
        )
        if names
    ]
    if seen:
        yield Flag(
            name="unusual-scale",
            message=f"the file has {' and '.join(seen)}: honest training seldom leaves "
            "such a thing, and fixed-rate fine-tuning stumbles over it without any protection",
        )


def _far(e: Evidence, name: str) -> float:
    """The factor on a weight that changes its effective learning rate by `_FAR`."""
    # Behind normalisation a step turns a filter by an angle that goes with the square of its
    # length; nothing normalises logits, so the head passes its factor on as it is.
    return _FAR if name in e.head_directions else math.sqrt(_FAR)


def same_encoder(e: Evidence) -> Iterator[Flag]:
    """Nothing was done to what a thief wants."""
    if _same_encoder(e):
        yield Flag(
            name="same-encoder",
            message=f"{kept_directions(e.directions):.0%} of the encoder's filters point where the "
            "unprotected model's do: what was changed are scales, normalisation or the head, which "
            "a thief can replace",
        )


def _same_encoder(e: Evidence) -> bool:
    return kept_directions(e.directions) >= _NEARLY_ALL


def plain_mask(e: Evidence) -> Iterator[Flag]:
    """A plain mask does as much."""
    plain = e.controls.get("magnitude")
    # Of a file without zeros the control is no mask.
    if plain is None or not plain.sparsity:
        return
    # Who has more attacks to choose from may choose worse, so each side is also asked about the
    # strongest of those that both were given: the same weights must not differ by luck.
    both = e.attacks.keys() & plain.attacks.keys()
    ours, theirs = (
        max([each.envelope.mean_gap, *(each.attacks[name].mean_gap for name in both)])
        for each in (e, plain)
    )
    if ours < theirs - _LITTLE:
        return
    yield Flag(
        name="plain-mask",
        message=(
            f"magnitude pruning to the same sparsity leaves a thief {theirs:+.3f} "
            f"in mean gap, this file {ours:+.3f}: whatever protection there is, a "
            "mask that never saw the target gives as much"
        ),
    )


def _best(e: Evidence, names: tuple[str, ...]) -> str | None:
    """The attack of `names` with the largest mean gap among those that were made."""
    made = [name for name in names if name in e.attacks]
    return max(made, key=lambda name: e.attacks[name].mean_gap) if made else None
