"""Every mistake that a user can type: the command, what its line says, what was spoilt before."""

from __future__ import annotations

import shutil

import numpy as np
import torch
from tests.cli.spoilt import (
    Prepare,
    both,
    claimed,
    cut,
    heavier,
    npz,
    pickled,
    pictures,
    relabelled,
    split,
    spoil,
    with_nan,
)
from tests.release.toys import arrays, edit_card

PRETRAIN = "pretrain --width 4 --epochs 1 --device cpu --out {tmp}/out --source"
PROTECT = "protect {place}/base --target npz:{place}/target.npz --device cpu --out {tmp}/out"
AUDIT = "audit {place}/release --protocol tiny --engine inline --device cpu --out {tmp}/out"
MINE = "audit {tmp}/release --protocol tiny --engine inline --device cpu --out {tmp}/out"
ATTACK = "attack {place}/release --target npz:{place}/target.npz --device cpu --out {tmp}/out"
TARGET = " --target npz:{place}/target.npz"
STUDY = "experiment --out {tmp}/out --results {tmp}/results"
NPZ = f"{PRETRAIN} npz:{{tmp}}/x.npz"


RELEASE: Prepare = lambda tmp: None  # noqa: E731  (the copy is made for every row that names it)
LABELS = arrays(0)[1]

MISTAKES: dict[str, tuple[str, str] | tuple[str, str, Prepare]] = {
    # names
    "domain": (f"{PRETRAIN} optdigit", "unknown domain 'optdigit': did you mean 'optdigits'?"),
    "domain, and a place to be made": (
        f"{PRETRAIN.replace('/out', '/some/where/out')} optdigit",
        "unknown domain 'optdigit'",
    ),
    "domain, scheme": (f"{PRETRAIN} zip:x", "unknown domain 'zip:x'"),
    "target": (f"{AUDIT} --target syndigit", "did you mean 'syndigits'?"),
    "model": (f"{PRETRAIN} npz:{{place}}/source.npz --model convnot", "did you mean 'convnet'?"),
    "method": (f"{PROTECT} --method magnitud", "unknown method 'magnitud': did you mean 'magn"),
    "protocol": (f"{AUDIT}{TARGET} --protocol quikc/1", "did you mean 'quick/1'?"),
    "engine": (f"{AUDIT}{TARGET} --engine proces", "did you mean 'process'?"),
    "download": ("domains --download mnsit", "did you mean 'mnist'?"),
    "command": ("protectt", "No such command 'protectt'"),
    "option": (f"{PROTECT} --sparsty 0.5", "No such option"),
    "option left out": ("pretrain --out {tmp}/out", "Missing option '--source'"),
    "argument left out": ("audit --target usps --out {tmp}/out", "Missing argument 'release'"),
    "a device without numbers": (f"{NPZ} --device meta", "device 'meta' is not available", npz()),
    "a date that there isn't": (f"{PROTECT} --set fisher=2024-13-45", "the value is not YAML"),
    "a word for a number": (f"{PROTECT} --sparsity lots", "Invalid value for '--sparsity'"),
    # data
    "no data": (f"{PRETRAIN} mnist --data-root {{tmp}}/nowhere", "fetch it with"),
    "no file": (f"{PRETRAIN} npz:{{tmp}}/absent.npz", "found nothing: correct the path"),
    "no home": (f"{PRETRAIN} npz:~nobody-here/x.npz", "there is no such home folder"),
    "no home, data root": (f"{PRETRAIN} mnist --data-root ~nobody-here/x", "no such home folder"),
    "a name too long": (f"{PRETRAIN} npz:{{tmp}}/{'x' * 300}.npz", "file name too long: check"),
    "names not in UTF-8": (
        NPZ,
        "class_names that are not UTF-8",
        npz(class_names=np.array([b"caf\xe9", b"b", b"c", b"d"])),
    ),
    "the same images twice": (
        NPZ,
        "images that are in another split, too, expected at most 10%",
        npz(images=np.concatenate([arrays(0)[0]] * 2), labels=np.concatenate([LABELS] * 2)),
    ),
    "no folder": (f"{PRETRAIN} folder:{{tmp}}/absent", "found nothing: correct the path"),
    "npz that is none": (NPZ, "is no .npz", spoil("x.npz", b"hello, world")),
    "npz truncated": (NPZ, "cannot be read as .npz", both(npz(), cut("x.npz", 0.5))),
    "npz of pickles": (NPZ, "pickles are never loaded", npz(labels=np.array([{}] * 400))),
    "npz without labels": (
        NPZ,
        "expected train_images",
        lambda tmp: np.savez(tmp / "x.npz", images=arrays(0)[0]),
    ),
    "PNG that is none": (
        f"{PRETRAIN} folder:{{tmp}}/set",
        "a/3.png: cannot be read as an image",
        both(pictures, spoil("set/a/3.png", b"\x89PNG\r\n\x1a\nxxxx")),
    ),
    "PNG truncated": (
        f"{PRETRAIN} folder:{{tmp}}/set",
        "b/5.png: cannot be read as an image",
        both(pictures, cut("set/b/5.png", 0.7)),
    ),
    "folder with an empty class": (
        f"{PRETRAIN} folder:{{tmp}}/set",
        "found no image",
        both(pictures, lambda tmp: (tmp / "set" / "c").mkdir()),
    ),
    "NaN": (NPZ, "pixels that are NaN or infinite", npz(images=with_nan())),
    "negative label": (NPZ, "labels from -1 to 3", npz(labels=relabelled(0, -1))),
    "label far out": (NPZ, "labels from 0 to 9999", npz(labels=relabelled(3, 9999))),
    "label beyond the names": (
        NPZ,
        "labels from 0 to 3, expected 0 to 2",
        npz(class_names=np.array(["a", "b", "c"])),
    ),
    "labels as floats": (NPZ, "labels of type float64", npz(labels=LABELS.astype(float))),
    "labels one-hot": (NPZ, "labels of shape (400, 4)", npz(labels=np.eye(4, dtype=int)[LABELS])),
    "labels too few": (NPZ, "400 images and 399 labels", npz(labels=LABELS[1:])),
    "a class without a sample": (NPZ, "class '2' has 0 images", npz(labels=relabelled(2, 3))),
    "no image at all": (NPZ, "no images", npz(images=arrays(0)[0][:0], labels=LABELS[:0])),
    "train of size zero": (NPZ, "no images", split("train", 0)),
    "test of size zero": (NPZ, "no images", split("test", 0)),
    "test without a class": (NPZ, "no sample of class '3'", split("test", 3)),
    "two images": (
        NPZ,
        "images to deal, expected at least",
        npz(images=arrays(0)[0][:2], labels=LABELS[:2]),
    ),
    "4 channels": (
        NPZ,
        "expected 1 or 3 channels",
        npz(images=np.zeros((400, 4, 16, 16), np.uint8)),
    ),
    "too small": (NPZ, "at least 8×8", npz(images=np.zeros((400, 7, 7), np.uint8))),
    "not square": (NPZ, "16×12 pixels", npz(images=np.zeros((400, 16, 12), np.uint8))),
    "too small for the network": (
        f"{PRETRAIN.replace('--width 4', '')} npz:{{place}}/source.npz --model vgg11_bn",
        "size 16: vgg11_bn cannot read images of this size",
    ),
    "width of a network that comes in one": (
        f"{PRETRAIN} npz:{{place}}/source.npz --model resnet18",
        "resnet18 has no width to choose",
    ),
    "network too large": (
        f"{PRETRAIN} npz:{{place}}/source.npz --size 100000",
        "size 100000: expected 8 to 1024 pixels",
    ),
    "class filter": (f"{PRETRAIN} npz:{{place}}/source.npz[0,7]", "there is no class '7'"),
    "one class left": (f"{PRETRAIN} npz:{{place}}/source.npz[0]", "expected at least 2"),
    # settings
    "sparsity below 0": (f"{PROTECT} --sparsity -0.1", "greater than or equal to 0"),
    "sparsity of 1": (f"{PROTECT} --sparsity 1.0", "less than 1"),
    "sparsity NaN": (f"{PROTECT} --sparsity nan", "'sparsity' = nan"),
    "a layer empties": (f"{PROTECT} --sparsity 0.99999", "keep every layer alive: use at most"),
    "a layer empties, control": (
        f"{PROTECT} --method magnitude --sparsity 0.99999",
        "keep every layer alive",
    ),
    "drop below 0": (f"{PROTECT} --max-source-drop -1", "greater than or equal to 0"),
    "constraint not kept": (
        f"{PROTECT} --sparsity 0.97 --max-source-drop 0 --set rounds=1 --set inner=1 "
        "--set finish=1 --set recover=1 --set depth=1 --set every=1 --set refit=1",
        "no checkpoint kept the source accuracy: the best lost",
    ),
    "preset": (
        f"{PROTECT} --preset papr",
        "unknown preset of ntp 'papr': did you mean 'paper'? choose one of default, paper",
    ),
    "preset of another method": (f"{PROTECT} --method magnitude --preset paper", "default"),
    "method and preset in one": (f"{PROTECT} --method ntp@paper", "unknown method 'ntp@paper'"),
    "--set of another preset": (f"{PROTECT} --preset paper --set rounds=3", "'rounds'"),
    "switches of the paper preset": (
        f"{PROTECT} --preset paper --set masks_return=true",
        "set apply_last_mask or release_z",
    ),
    "--set without =": (f"{PROTECT} --set fisher", "--set fisher: expected name=value"),
    "--set unknown": (f"{PROTECT} --set fischer=3", "'fischer'"),
    "--set of an option": (f"{PROTECT} --set seed=3", "'seed'"),
    "--set of an argument": (f"{PROTECT} --set self=3", "'self'"),
    "--set no YAML": (f"{PROTECT} --set fisher=[1", "--set fisher=[1: "),
    "--set a word": (f"{PROTECT} --set fisher=much", "'fisher' = 'much'"),
    "lr below 0": (f"{PRETRAIN} npz:{{place}}/source.npz --lr -1", "lr -1: expected a positive"),
    "lr NaN": (f"{PRETRAIN} npz:{{place}}/source.npz --lr nan", "lr nan: expected a positive"),
    "epochs endless": (f"{PRETRAIN} npz:{{place}}/source.npz --epochs inf", "epochs inf: expected"),
    "epochs NaN": (f"{PRETRAIN} npz:{{place}}/source.npz --epochs nan", "'--epochs'"),
    "stem": (f"{PRETRAIN} npz:{{place}}/source.npz --stem large", "stem"),
    "width": (f"{PRETRAIN} npz:{{place}}/source.npz --width 0", "--width"),
    "size": (f"{PRETRAIN} npz:{{place}}/source.npz --size 4", "size 4: expected 8 to 1024"),
    "seed below 0": (f"{PROTECT} --seed -1", "--seed"),
    "seed of 65 bits": (f"{PROTECT} --seed {2**64}", "--seed"),
    "device": (f"{PRETRAIN} npz:{{place}}/source.npz --device cuda:9", "device 'cuda:9' is not"),
    "device, no word": (f"{PROTECT} --device gpu", "device 'gpu' is not available"),
    "device, audit": (f"{AUDIT}{TARGET} --device cuda:9", "device 'cuda:9' is not available"),
    "device, doctor": ("doctor --device gpu", "device 'gpu' is not available"),
    "no target, and one": (
        f"{PROTECT} --target none",
        "--target none means that no target is known, and 1 more --target came with it: give it",
    ),
    "audit of no target": (f"{AUDIT} --target none", "unknown domain 'none'"),
    "weights": (f"{PROTECT} --set weights=[1,2]", "setting weights: found 2 for 1 target(s) (npz:"),
    "weights of 0": (f"{PROTECT} --set weights=[0]", "'weights.0' = 0: expected greater"),
    "target is the source": (
        "protect {place}/base --target npz:{place}/source.npz --out {tmp}/out",
        "is the source itself",
    ),
    "audit of the source": (
        f"{AUDIT} --target npz:{{place}}/source.npz",
        "is the source of this release: name another target",
    ),
    "budget above the pool": (f"{AUDIT}{TARGET} --budgets 8,4000", "budget 4000 exceeds the"),
    "one budget": (
        f"{AUDIT}{TARGET} --budgets 8",
        "budgets 8: expected at least two different counts",
    ),
    "budgets of words": (f"{AUDIT}{TARGET} --budgets 8;16", "--budgets 8;16: expected counts"),
    "attacks of the audit": (f"{AUDIT}{TARGET} --attacks lora", "tiny/1 has no attack 'lora'"),
    "controls of the audit": (f"{AUDIT}{TARGET} --controls null", "must name 'unprotected'"),
    "workers": (f"{AUDIT}{TARGET} --workers -1", "--workers"),
    "attack": (f"{ATTACK} --budget 8 --attack regro", "unknown attack 'regro': did you mean 'reg"),
    "attack, no budget": (f"{ATTACK} --budget 0 --attack regrow", "budget 0: expected 3"),
    "attack, 2 images": (f"{ATTACK} --budget 2 --attack finetune", "budget 2: expected 3"),
    "attack, budget": (f"{ATTACK} --budget 9999 --attack regrow", "budget 9999: expected 3"),
    "attack, lr": (f"{ATTACK} --budget 8 --attack regrow --lr 0", "lr 0: expected a positive"),
    "attack, lr NaN": (f"{ATTACK} --budget 8 --attack regrow --lr nan", "lr nan: expected"),
    "attack, optimiser": (
        f"{ATTACK} --budget 8 --attack regrow --optimiser sdg",
        "optimiser 'sdg': expected one of adamw, adam, sgd",
    ),
    "attack, steps": (f"{ATTACK} --budget 8 --attack regrow --steps 0", "steps 0: expected at"),
    "attack diverges": (f"{ATTACK} --budget 8 --attack masked --lr 1e30", "lower the learning"),
    "attack, device": (
        f"{ATTACK} --budget 8 --attack regrow --device cuda:9",
        "device 'cuda:9' is not available",
    ),
    "attack, other classes": (
        "attack {place}/release --target npz:{place}/target.npz[0,1,2] --attack finetune "
        "--budget 8 --device cpu --out {tmp}/out",
        "attack 'finetune' keeps the head",
    ),
    "attack of nothing": (
        f"attack {{tmp}}/no{TARGET} --attack regrow --budget 8 --out {{tmp}}/out",
        "no release at",
    ),
    "attack on the source": (
        "attack {place}/release --target npz:{place}/source.npz --attack finetune --budget 8 "
        "--device cpu --out {tmp}/out",
        "is the source of this release",
    ),
    "attack without its source": (
        f"attack {{tmp}}/release{TARGET} --attack mix --budget 8 --out {{tmp}}/out",
        "found nothing: correct the path",
        lambda tmp: edit_card(
            tmp / "release", lambda card: card["source"].update(name=f"npz:{tmp}/absent.npz")
        ),
    ),
    # experiments
    "experiment": (f"{STUDY} ablaton", "unknown experiment 'ablaton': did you mean 'ablation'?"),
    "pair": (f"{STUDY} frontier --pair optdigit-blend", "did you mean 'optdigits-blended'?"),
    "no protection": (f"{STUDY} sparsity --seeds 0", "--seeds"),
    "device, experiment": (f"{STUDY} sparsity --device cuda:9", "device 'cuda:9' is not"),
    "experiment without data": (f"{STUDY} ablation --data-root {{tmp}}/nowhere", "fetch it with"),
    "results of another": (
        f"{STUDY} ablation --pair optdigits-blended",
        "holds 'sparsity' on mnist-usps: choose another --results",
        spoil("results/data.json", b'{"study": "sparsity", "pair": "mnist-usps"}'),
    ),
    # folders
    "out in use, attack": (
        f"{ATTACK} --budget 8 --attack regrow",
        "out exists already",
        spoil("out/mine", b"precious"),
    ),
    "demo in a release": ("demo --out {tmp}/release", "release exists already"),
    "no base": ("protect {tmp}/no --target optdigits --out {tmp}/out", "no release at"),
    "no release": (f"{MINE}{TARGET}", "no release at"),
    "out in use, pretrain": (
        f"{PRETRAIN} npz:{{place}}/source.npz",
        "out exists already",
        spoil("out/mine", b"precious"),
    ),
    "out in use, protect": (PROTECT, "out exists already", spoil("out/mine", b"precious")),
    "out is a file, protect": (PROTECT, "out exists already", spoil("out", b"precious")),
    "owner folder in use": (
        PROTECT,
        "out.owner exists already",
        spoil("out.owner/mine", b"precious"),
    ),
    "owner folder of another model": (
        "protect {place}/base --target npz:{place}/target.npz --device cpu --out {tmp}/release2",
        "release2.owner holds another model",
        lambda tmp: edit_card(
            shutil.copytree(tmp / "release.owner", tmp / "release2.owner"),
            lambda card: card.update(weights_sha256="0" * 64),
        ),
    ),
    "protected already": (
        "protect {place}/release --target npz:{place}/target.npz --device cpu --out {tmp}/out",
        "the model is protected already (by ntp)",
    ),
    "out in use, audit": (f"{AUDIT}{TARGET}", "not an audit", spoil("out/mine", b"precious")),
    "out of another audit": (f"{AUDIT}{TARGET}", "audit with other settings", claimed),
    "below a file, pretrain": (
        f"{PRETRAIN.replace('/out', '/file/out')} npz:{{place}}/source.npz",
        "cannot write",
        spoil("file", b"precious"),
    ),
    "below a file, protect": (
        PROTECT.replace("/out", "/file/out"),
        "cannot write",
        spoil("file", b"precious"),
    ),
    "below a file, audit": (
        f"{AUDIT.replace('/out', '/file/out')}{TARGET}",
        "cannot write",
        spoil("file", b"precious"),
    ),
    "below a file, ledger": (
        f"{AUDIT}{TARGET} --ledger {{tmp}}/file/jobs",
        "cannot write",
        spoil("file", b"precious"),
    ),
    "ledger is a file, dry run": (
        f"{AUDIT}{TARGET} --ledger {{tmp}}/file --dry-run",
        "file is not a folder: choose another ledger",
        spoil("file", b"precious"),
    ),
    "audit.json is a folder": (
        f"{AUDIT}{TARGET}",
        "audit.json: is a directory",
        spoil("out/audit.json/mine", b"precious"),
    ),
    "a name too long for a draft": (
        f"{PRETRAIN.replace('/out', '/' + 'x' * 250)} npz:{{place}}/source.npz",
        "file name too long",
    ),
    "report to a folder": ("report {tmp}/no --out .", "ending in .html"),
    "report of nothing": ("report {tmp}/no --out {tmp}/out.html", "no audit at"),
    "report of an unfinished audit": (
        "report {tmp}/out --out {tmp}/out.html",
        "report.json is missing, so the audit is not finished",
        claimed,
    ),
    "report to no .html": ("report {tmp}/no --out {tmp}/out.pdf", "ending in .html"),
    "results of another study": (
        f"{STUDY} ablation --pair optdigits-blended --dry-run",
        "results holds 'sparsity' on mnist-usps: choose another --results",
        spoil("results/data.json", b'{"study": "sparsity", "pair": "mnist-usps"}'),
    ),
    # releases
    "release, a name too long": (f"check {{tmp}}/{'x' * 300}", "file name too long: check the"),
    "weights changed": (f"{MINE}{TARGET}", "was changed after its card", both(RELEASE, heavier)),
    "weights changed, check": ("check {tmp}/release", "was changed after its card", heavier),
    "weights truncated": (
        "check {tmp}/release",
        "cannot be read as safetensors",
        cut("release/model.safetensors", 0.9),
    ),
    "weights are a pickle": ("check {tmp}/release", "is a pickle, which is never", pickled),
    "weights saved by torch": (
        "check {tmp}/release",
        "is a pickle, which is never",
        lambda tmp: torch.save({"a": torch.ones(1)}, tmp / "release" / "model.safetensors"),
    ),
    "card damaged": ("check {tmp}/release", "not a card", spoil("release/card.json", b"{")),
    "card missing": (
        f"{MINE}{TARGET}",
        "card.json is missing",
        lambda tmp: (tmp / "release" / "card.json").unlink(),
    ),
    "base missing": (
        f"{MINE}{TARGET}",
        "give its folder with --base",
        lambda tmp: shutil.rmtree(tmp / "release.owner"),
    ),
    "base of another": (
        f"{MINE}{TARGET}",
        "is not the model that",
        lambda tmp: edit_card(tmp / "release.owner", lambda card: card["source"].update(test=0.1)),
    ),
    "base that is protected": (f"{MINE}{TARGET} --base {{tmp}}/release", "is protected itself"),
}
