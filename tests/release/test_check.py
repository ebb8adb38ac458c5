"""Whatever is done to a release after its card was written is noticed."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.release.toys import edit_card, reseal, tamper, toy

from ntprune.errors import DataInvalidError, NtpruneError, ReleaseInvalidError
from ntprune.release import check, load

FIRST, HEAD, SCALE = "features.3.weight", "classifier.2.weight", "features.1.weight"
WEIGHTS, MASKS = "model.safetensors", "masks.safetensors"


def revive(folder: Path) -> None:
    """Give one pruned weight a value and seal the release again."""
    masks = load(folder).masks

    def change(tensors: dict[str, torch.Tensor]) -> None:
        pruned = (~masks[FIRST]).nonzero()[0].tolist()
        tensors[FIRST][tuple(pruned)] = 1e-6

    tamper(folder, WEIGHTS, change)
    reseal(folder)


def resealed(file: str, change: Callable[[dict[str, torch.Tensor]], Any]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        tamper(folder, file, change)
        reseal(folder)

    return damage


def card(**changes: Any) -> Callable[[Path], None]:
    return lambda folder: edit_card(folder, lambda c: c.update(changes))


def nested(part: str, **changes: Any) -> Callable[[Path], None]:
    return lambda folder: edit_card(folder, lambda c: c[part].update(changes))


def entry(**changes: Any) -> Callable[[Path], None]:
    return lambda f: edit_card(f, lambda c: c["model"]["preprocessing"].update(changes))


def both(*changes: Callable[[Path], object]) -> Callable[[Path], object]:
    return lambda folder: [change(folder) for change in changes]


def write(file: str, content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / file).write_bytes(content)


def truncate(file: str) -> Callable[[Path], object]:
    return lambda folder: os.truncate(folder / file, (folder / file).stat().st_size - 7)


DAMAGE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a weight": (
        lambda f: tamper(f, WEIGHTS, lambda t: t[FIRST].mul_(1.001)),
        "model.safetensors was changed after its card was written",
    ),
    "a mask": (
        lambda f: tamper(f, MASKS, lambda t: t[FIRST].logical_not_()),
        "masks.safetensors was changed after its card was written",
    ),
    "sparsity, too high": (card(sparsity=0.95), "claims sparsity 0.9500, the file has 0.80"),
    "sparsity, too low": (card(sparsity=0.5), "claims sparsity 0.5000"),
    "a revived weight": (revive, "a masked weight is not zero"),
    "zeros by another name": (
        both(
            resealed(
                WEIGHTS, lambda t: [w.add_(1e-20 * (w == 0)) for w in t.values() if w.dim() > 1]
            ),
            resealed(MASKS, lambda t: [m.fill_(True) for m in t.values()]),
            card(sparsity=0.0),
        ),
        "80.0 % of the weights are zero or next to it, the masks cover 0.0 %",
    ),
    "a weight that is no number": (
        resealed(WEIGHTS, lambda t: t[SCALE].fill_(float("-inf"))),
        "'features.1.weight' holds values that are not finite",
    ),
    "a weight of eight bits": (
        resealed(WEIGHTS, lambda t: t.update({SCALE: t[SCALE].to(torch.float8_e4m3fn)})),
        "'features.1.weight' is torch.float8_e4m3fn, which no release holds",
    ),
    "a mask left out": (resealed(MASKS, lambda t: t.pop(FIRST)), "masks are not those"),
    "a mask of the head": (
        resealed(MASKS, lambda t: t.update({HEAD: torch.ones(4, 16, dtype=torch.bool)})),
        "masks are not those",
    ),
    "a mask of another shape": (
        resealed(MASKS, lambda t: t.update({FIRST: torch.ones(2, 2, dtype=torch.bool)})),
        "fits no parameter",
    ),
    "a layer left out": (resealed(WEIGHTS, lambda t: t.pop(FIRST)), "does not fit architecture"),
    "a layer of another shape": (
        resealed(WEIGHTS, lambda t: t.update({FIRST: torch.ones(3)})),
        "does not fit architecture",
    ),
    "weights truncated": (truncate(WEIGHTS), "cannot be read as safetensors"),
    "masks truncated": (truncate(MASKS), "cannot be read as safetensors"),
    "weights empty": (write(WEIGHTS, b""), "cannot be read as safetensors"),
    "header larger than the file": (write(WEIGHTS, b"\xff" * 64), "cannot be read as safetensors"),
    "weights missing": (lambda f: (f / WEIGHTS).unlink(), "model.safetensors is missing"),
    "masks missing": (lambda f: (f / MASKS).unlink(), "masks.safetensors is missing"),
    "card missing": (lambda f: (f / "card.json").unlink(), "card.json is missing"),
    "folder missing": (lambda f: f.rename(f.with_name("gone")), "no release at"),
    "history is no JSON": (write("history.json", b"[{"), "history.json"),
    "history is no text": (write("history.json", b"\xff\xfe"), "history.json"),
    "history is no list": (write("history.json", b'{"a": 1}'), "history.json"),
    "card is no JSON": (write("card.json", b"{"), "not a card"),
    "card is no text": (write("card.json", b"\xff\xfe\x00"), "not a card"),
    "card is a list": (write("card.json", b"[]"), "not a card"),
    "card is deep": (write("card.json", b"[" * 100_000), "not a card"),
    "an extra field": (card(run="rm -rf"), "not a card of this version (run: "),
    "an extra field below": (nested("model", code="x"), "(model.code: "),
    "a number as text": (card(steps="many"), "(steps: "),
    "another schema": (card(schema=2), "(schema: "),
    "sparsity out of range": (card(sparsity=1.5), "(sparsity: "),
    "sparsity NaN": (card(sparsity=float("nan")), "not a card"),
    "accuracy out of range": (nested("source", test=7), "(source.test: "),
    "classes as a text": (nested("model", classes="abcd"), "(model.classes: "),
    "a single class": (nested("model", classes=["a"]), "(model.classes: "),
    "another class": (nested("model", classes=list("abcde")), "does not fit architecture"),
    "another width": (nested("model", width=5), "does not fit architecture"),
    "an unknown architecture": (nested("model", architecture="convnot"), "did you mean 'convnet'"),
    "means of other channels": (entry(mean=[0.1, 0.2]), "(model.preprocessing: "),
    "std of zero": (entry(std=[0.0]), "(model.preprocessing: "),
    "no layers": (lambda f: edit_card(f, lambda c: c.pop("layers")), "(layers: "),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGE.values(), ids=DAMAGE.keys())
def test_damage_is_refused_in_one_line(
    folder: Path, damage: Callable[[Path], Any], message: str
) -> None:
    damage(folder)
    with pytest.raises(NtpruneError) as caught:
        check(folder)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_masks_may_cover_more_than_the_prunable_weights(folder: Path) -> None:
    """The sparsity on the card stays that of the prunable weights."""
    half = torch.arange(4) < 2
    resealed(MASKS, lambda t: t.update({SCALE: half}))(folder)
    with pytest.raises(ReleaseInvalidError, match="a masked weight is not zero"):
        check(folder)
    resealed(WEIGHTS, lambda t: t[SCALE].mul_(half))(folder)
    assert check(folder).sparsity == load(folder).card.sparsity != load(folder).masks.sparsity


def test_a_card_from_before_presets_is_the_default(folder: Path) -> None:
    edit_card(folder, lambda c: c.pop("preset"))
    assert load(folder).card.preset == "default"


def test_other_data_are_refused(folder: Path) -> None:
    with pytest.raises(DataInvalidError, match="'toy2' is not what the release's card was made"):
        check(folder, toy(2))


@pytest.mark.parametrize("off", [0.02, -0.02])
def test_a_false_accuracy_is_refused(folder: Path, off: float) -> None:
    claimed = json.loads((folder / "card.json").read_text())["source"]["test"]
    nested("source", test=claimed + off)(folder)
    with pytest.raises(ReleaseInvalidError, match=r"claims .* % on the source test split"):
        check(folder, toy(0))


class Payload:
    """Creates a file when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return Path.touch, (self.trace,)


@pytest.mark.parametrize("file", [WEIGHTS, MASKS])
@pytest.mark.parametrize("kind", ["torch", "torch, old", "pickle 0", "pickle 2", "pickle 5"])
@pytest.mark.parametrize("forged", [False, True], ids=["hash left", "hash forged"])
def test_a_pickle_is_never_executed(folder: Path, file: str, kind: str, forged: bool) -> None:
    trace = folder.parent / "executed"
    content = {"weight": Payload(trace)}
    if kind.startswith("torch"):
        torch.save(content, folder / file, _use_new_zipfile_serialization=kind == "torch")
    else:
        (folder / file).write_bytes(pickle.dumps(content, protocol=int(kind[-1])))
    if forged:
        reseal(folder)
    with pytest.raises(ReleaseInvalidError, match=r"is a pickle|cannot be read as safetensors"):
        load(folder)
    assert not trace.exists()
    if kind == "pickle 5":  # the payload does what the test fears
        pickle.loads((folder / file).read_bytes())
        assert trace.exists()
