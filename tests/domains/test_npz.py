"""`npz:<path>`: accepted layouts, and a remedy for every damaged file."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ntprune.domains import Domain, domain
from ntprune.errors import DataInvalidError, DataMissingError, NtpruneError


def arrays(count: int, classes: int = 2, shape: tuple[int, ...] = (8, 8)) -> tuple[Any, Any]:
    labels = np.arange(count) % classes
    noise = np.random.default_rng(count).integers(0, 200, (count, *shape), dtype=np.uint8)
    return noise, labels


def beside_test(loaded: Domain) -> int:
    return len(loaded.train) + len(loaded.validation) + len(loaded.pool)


def save(path: Path, **content: Any) -> str:
    np.savez(path, **content)
    return f"npz:{path}"


def train_and_test(**changes: Any) -> dict[str, Any]:
    train, test = arrays(40), arrays(10)
    content = {
        "train_images": train[0],
        "train_labels": train[1],
        "test_images": test[0],
        "test_labels": test[1],
    }
    return {key: value for key, value in {**content, **changes}.items() if value is not None}


def test_train_and_test(tmp_path: Path) -> None:
    content = train_and_test()
    loaded = domain(save(tmp_path / "x.npz", **content))
    assert loaded.classes == ("0", "1")
    assert np.array_equal(loaded.test.images[:, 0], content["test_images"])
    assert loaded.test.labels.tolist() == content["test_labels"].tolist()
    assert beside_test(loaded) == 40


def test_medmnist_layout(tmp_path: Path) -> None:
    """Labels N×1, a validation part, RGB channels last."""
    content = {}
    for part, count in (("train", 40), ("val", 20), ("test", 10)):
        images, labels = arrays(count, shape=(28, 28, 3))
        content |= {f"{part}_images": images, f"{part}_labels": labels[:, None].astype(np.uint8)}
    loaded = domain(save(tmp_path / "x.npz", **content))
    assert (loaded.channels, loaded.size, len(loaded.test)) == (3, 28, 10)
    assert beside_test(loaded) == 60


@pytest.mark.parametrize("kind", ["U", "S"])
def test_one_part_is_dealt_and_named(tmp_path: Path, kind: str) -> None:
    images, labels = arrays(50)
    names = np.array(["cat", "dog"], dtype=kind)
    name = save(tmp_path / "x.npz", images=images, labels=labels, class_names=names)
    loaded = domain(name)
    assert loaded.classes == ("cat", "dog")
    assert np.bincount(loaded.test.labels).tolist() == [5, 5]
    assert domain(name, seed=3).test.images.equal(loaded.test.images)


def test_the_path_s_spelling_does_not_move_the_deal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    absolute = domain(save(tmp_path / "x.npz", **train_and_test()))
    monkeypatch.chdir(tmp_path)
    relative, rooted = domain("npz:x.npz"), domain("npz:x.npz[1,0]", root=tmp_path)
    assert relative.pool.images.equal(absolute.pool.images)
    assert rooted.pool.images.equal(domain(f"npz:{tmp_path}/x.npz[1,0]").pool.images)


def test_relative_paths_are_looked_up_under_root(tmp_path: Path) -> None:
    save(tmp_path / "only-under-root.npz", **train_and_test())
    assert domain("npz:only-under-root.npz", root=tmp_path).size == 8
    with pytest.raises(DataMissingError, match=r"npz:absent.npz: looked for .* and .*absent.npz"):
        domain("npz:absent.npz", root=tmp_path)


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    assert domain(save(path, **train_and_test())) is domain(f"npz:{path}")
    images, labels = arrays(80)
    changed = domain(save(path, **train_and_test(train_images=images, train_labels=labels)))
    assert beside_test(changed) == 80


BAD = {
    "keys": ({"train_labels": None}, "found the keys .*test_images.*, expected train_images"),
    "val alone": ({"val_images": arrays(8)[0]}, "found val_images without val_labels"),
    "val shape": (
        dict(zip(("val_images", "val_labels"), arrays(8, shape=(9, 9)), strict=True)),
        r"train and val images of \(1, 8, 8\) and \(1, 9, 9\)",
    ),
    "test shape": (
        dict(zip(("test_images", "test_labels"), arrays(10, shape=(9, 9)), strict=True)),
        "test split: .* in train",
    ),
    "pickled labels": (
        {"train_labels": np.array([0, "a", None] * 10, dtype=object)},
        "pickles are never loaded",
    ),
    "names": ({"class_names": np.zeros(2)}, "found class_names of type float64"),
    "too few names": ({"class_names": np.array(["a"])}, r"x.npz \(train_images.*0 to 0"),
    "gap": ({"test_labels": np.array([0, 2] * 5)}, "class '2' has 0 images"),
    "one class": (
        {"train_labels": np.zeros(40, int), "test_labels": np.zeros(10, int)},
        r"found 1 class\(es\), expected at least 2",
    ),
    "class absent from test": (
        {"test_labels": np.zeros(10, int)},
        "test split: found no sample of class '1'",
    ),
}


@pytest.mark.parametrize(("changes", "message"), BAD.values(), ids=BAD.keys())
def test_bad_content_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    name = save(tmp_path / "x.npz", **train_and_test(**changes))
    with pytest.raises(DataInvalidError, match=message) as caught:
        domain(name)
    assert "\n" not in str(caught.value)


def test_other_files_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "single.npy", np.zeros(3))
    (tmp_path / "text.npz").write_text("hello, world\n")
    (tmp_path / "empty.npz").touch()
    for name, message in (
        ("single.npy", "found a single array, expected an .npz archive"),
        ("text.npz", "is no .npz"),
        ("empty.npz", "cannot be read as .npz"),
        ("", "cannot be read as .npz"),
    ):
        with pytest.raises(DataInvalidError, match=message):
            domain(f"npz:{tmp_path / name}")


def test_damage_never_escapes_as_another_error(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez_compressed(path, **train_and_test())
    whole = path.read_bytes()
    random = np.random.default_rng(0)
    messages = []
    for trial in range(120):
        damaged = bytearray(whole)
        if trial % 3 == 0:
            del damaged[random.integers(len(whole)) :]
        else:
            for place in random.integers(len(whole), size=4):
                damaged[place] ^= 1 << int(random.integers(8))
        path.write_bytes(damaged)
        try:
            domain(f"npz:{path}")
        except NtpruneError as error:
            messages.append(str(error))
    assert len(messages) > 60
    assert not any("\n" in message for message in messages)


def test_a_member_that_is_no_array(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, **train_and_test())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("class_names", b"a, b")
    with pytest.raises(DataInvalidError, match="'class_names' is no array"):
        domain(f"npz:{path}")


def test_members_that_another_program_packed(tmp_path: Path) -> None:
    """And that are damaged: by LZMA, which numpy never writes and zipfile reads."""
    path = tmp_path / "x.npz"
    np.savez(path, **train_and_test())
    with zipfile.ZipFile(path) as plain:
        members = {name: plain.read(name) for name in plain.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    assert domain(f"npz:{path}").classes
    whole = bytearray(path.read_bytes())
    whole[200:260] = bytes(60)
    path.write_bytes(whole)
    with pytest.raises(DataInvalidError, match=r"cannot be read as \.npz"):
        domain(f"npz:{path}")
