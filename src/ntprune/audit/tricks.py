"""Flags that name a trick: defences that stop one way of fine-tuning and protect nothing.

docs/fakes.md shows each trick and the figure it is sold on.
"""

from __future__ import annotations

from collections.abc import Iterator

from ntprune.audit.evidence import Evidence
from ntprune.audit.schema import Flag

# Mean gap that an attack must gain over another before the difference is called one.
_MORE = 0.05
# Share of the unprotected model's mean gap that counts as most of it.
_MOST = 0.6
# Factor between root mean squares; magnitude pruning at sparsity .99 leaves survivors ten times as
# large as the rest.
_FAR = 30.0
# Share of a layer's channels that may have statistics of their own.
_STRAYS = 0.25

# Difference of two projections that is rounding.
_SAME = 1e-4
# Mean gap by which a defence must beat a plain mask.
_LITTLE = 0.01

_KEPT_AND_FREE = {
    "masked": ("finetune", "regrow"),
    "masked-new-head": ("finetune-new-head",),
}
_NORMALISING = ("rescale", "bn-finetune")
_PLAIN = ("finetune", "finetune-new-head")
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
    """The head is the defence."""
    new, control = _best(e, _NEW_HEADS), e.controls.get("unprotected")
    if new is None or "finetune" not in e.attacks or control is None:
        return
    gap, whole = e.attacks[new].mean_gap, control.envelope.mean_gap
    difference = gap - e.attacks["finetune"].mean_gap
    if difference > _MORE and gap >= _MOST * whole > 0:
        yield Flag(
            name="head-only",
            message=(
                f"{new} gains {difference:+.3f} in mean gap over finetune, which keeps the head, "
                f"and reaches {gap / whole:.0%} of the unprotected model's: the features still "
                "serve the target, only the head does not"
            ),
        )


def unusual_scale(e: Evidence) -> Iterator[Flag]:
    """The file itself shows it, before any attack."""
    far = [n for n, (ours, bare) in e.scales.items() if not bare / _FAR < ours < bare * _FAR]
    stray = [name for name, share in e.strays.items() if share > _STRAYS]
    seen = [
        f"{words} ({', '.join(names)})"
        for words, names in (
            (f"weights over {_FAR:g} times larger or smaller than the unprotected model's", far),
            ("BatchNorm statistics that source images do not have", stray),
        )
        if names
    ]
    if seen:
        yield Flag(
            name="unusual-scale",
            message=f"the file has {' and '.join(seen)}: training leaves no such thing, and "
            "fixed-rate fine-tuning stumbles over it without any protection",
        )


def same_encoder(e: Evidence) -> Iterator[Flag]:
    """Nothing was done to what a thief wants."""
    if e.directions and all(abs(ours - bare) < _SAME for ours, bare in e.directions.values()):
        yield Flag(
            name="same-encoder",
            message="every filter of the encoder points where the unprotected model's does: what "
            "was changed are scales, normalisation or the head, which a thief can replace",
        )


def plain_mask(e: Evidence) -> Iterator[Flag]:
    """A plain mask does as much."""
    plain = e.controls.get("magnitude")
    if plain is None or e.envelope.mean_gap < plain.envelope.mean_gap - _LITTLE:
        return
    yield Flag(
        name="plain-mask",
        message=(
            f"magnitude pruning to the same sparsity leaves a thief {plain.envelope.mean_gap:+.3f} "
            f"in mean gap, this file {e.envelope.mean_gap:+.3f}: whatever protection there is, a "
            "mask that never saw the target gives as much"
        ),
    )


def _best(e: Evidence, names: tuple[str, ...]) -> str | None:
    """The attack of `names` with the largest mean gap among those that were made."""
    made = [name for name in names if name in e.attacks]
    return max(made, key=lambda name: e.attacks[name].mean_gap) if made else None
