"""Names: the class filter, suggestions, the cache, and what importing costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ntprune.domains import describe, domain, domain_names
from ntprune.domains.registry import register
from ntprune.errors import DataInvalidError, SettingsError, UnknownNameError

ANIMALS = ("cat", "dog", "eel", "fox")


@pytest.fixture(scope="module")
def animals(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("npz") / "animals.npz"
    labels = np.arange(80) % 4
    images = np.broadcast_to(labels[:, None, None], (80, 8, 8)).astype(np.uint8)
    np.savez(path, images=images, labels=labels, class_names=np.array(ANIMALS))
    return f"npz:{path}"


@pytest.mark.parametrize("spelling", ["absolute", "relative", "here", "link", "roundabout"])
def test_however_a_set_is_spelt_it_is_dealt_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spelling: str
) -> None:
    """Or a thief who types another path would draw from what the defender trained on."""
    place = tmp_path / "pictures"
    random = np.random.default_rng(0)
    for name in ANIMALS:
        (place / name).mkdir(parents=True)
        for number in range(10):
            pixels = random.integers(0, 256, (8, 8), dtype=np.uint8)
            Image.fromarray(pixels).save(place / name / f"{number}.png")
    expected = domain(f"folder:{place}").content_hash
    (tmp_path / "latest").symlink_to(place, target_is_directory=True)
    names = {
        "absolute": str(place),
        "relative": "../pictures",
        "here": ".",
        "link": str(tmp_path / "latest"),
        "roundabout": f"{place}/cat/..",
    }
    monkeypatch.chdir(place)
    assert domain(f"folder:{names[spelling]}").content_hash == expected


@pytest.mark.parametrize(
    ("wanted", "classes"),
    [
        ("dog,cat", ("dog", "cat")),
        ("3, 1", ("fox", "dog")),
        (" eel ,0,fox", ("eel", "cat", "fox")),
    ],
)
def test_filter_renumbers_in_its_own_order(
    animals: str, wanted: str, classes: tuple[str, ...]
) -> None:
    loaded = domain(f"{animals}[{wanted}]")
    assert loaded.name == f"{animals}[{wanted}]"
    assert loaded.classes == classes
    for split in (loaded.train, loaded.validation, loaded.pool, loaded.test):
        shown = [ANIMALS.index(classes[label]) for label in split.labels.tolist()]
        assert split.images[:, 0, 0, 0].tolist() == shown
        assert set(shown) == {ANIMALS.index(name) for name in classes}
    parts = (loaded.train, loaded.validation, loaded.pool, loaded.test)
    assert sum(map(len, parts)) == 20 * len(classes)


def test_a_class_by_index_or_by_name_is_dealt_alike(animals: str) -> None:
    assert domain(f"{animals}[0,1]").content_hash == domain(f"{animals}[cat,dog]").content_hash


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Four classes of unequal size, every image another, the last too small to be dealt."""
    path = tmp_path_factory.mktemp("npz") / "counted.npz"
    labels = np.repeat(np.arange(4), (40, 25, 60, 2))
    numbers = np.arange(len(labels))
    images = np.zeros((len(labels), 8, 8), np.uint8)
    images[:, 0, 0], images[:, 0, 1] = numbers, labels
    np.savez(path, images=images, labels=labels, class_names=np.array(ANIMALS))
    return f"npz:{path}"


@pytest.mark.parametrize(
    "filters",
    [("cat,dog,eel", "dog,eel"), ("cat,eel", "eel,cat"), ("eel,dog", "dog,cat")],
)
def test_an_image_is_on_the_same_side_whatever_the_filter(
    counted: str, filters: tuple[str, str]
) -> None:
    sides = []
    for wanted in filters:
        loaded = domain(f"{counted}[{wanted}]")
        parts = (loaded.train, loaded.validation, loaded.pool, loaded.test)
        sides.append(
            {int(n): i for i, part in enumerate(parts) for n in part.images[:, 0, 0, 0].tolist()}
        )
    shared = sides[0].keys() & sides[1].keys()
    assert len(shared) >= 25
    assert all(sides[0][number] == sides[1][number] for number in shared)


def test_a_class_that_is_left_out_may_be_too_small_to_deal(counted: str) -> None:
    with pytest.raises(DataInvalidError, match="class 'fox' has 2 images"):
        domain(counted)
    assert domain(f"{counted}[cat,dog]").classes == ("cat", "dog")


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("cat,cow", r"there is no class 'cow': choose from cat, dog, eel, fox, or .* 0 to 3"),
        ("cat,4", "there is no class '4'"),
        ("cat,-1", "there is no class '-1'"),
        ("cat,²", "there is no class '²'"),
        ("cat", r"found 1 class\(es\) in the filter, expected at least 2"),
        ("", r"found 0 class\(es\) in the filter"),
        ("cat,0", "a class comes twice"),
    ],
)
def test_bad_filters_are_refused(animals: str, wanted: str, message: str) -> None:
    with pytest.raises(DataInvalidError, match=message) as caught:
        domain(f"{animals}[{wanted}]")
    assert "\n" not in str(caught.value)


def test_filter_on_a_registered_name() -> None:
    loaded = domain("optdigits[8,3]")
    assert loaded.classes == ("8", "3")
    assert set(loaded.pool.labels.tolist()) == {0, 1}


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("optdigit", "optdigits"),
        ("fashionmnist", "fashion-mnist"),
        ("blended:optdigts[1,2]", "blended:optdigits"),
        ("blended:svhn", "blended:"),
        ("blended:<name>", "blended:"),
        ("npz:", "npz:<path>"),
        ("npz", "npz:<path>"),
        ("", ""),
    ],
)
def test_unknown_names_get_a_suggestion(name: str, near: str) -> None:
    with pytest.raises(UnknownNameError, match=f"did you mean '{near}" if near else "choose one"):
        domain(name)


def test_every_name_is_described() -> None:
    patterns = {"blended:<name>", "npz:<path>", "folder:<path>"}
    assert set(describe()) == set(domain_names()) | patterns
    assert all(text and "\n" not in text for text in describe().values())
    assert {"optdigits", "syndigits", "mnist", "usps", "blended:optdigits"} <= set(domain_names())


def test_a_name_is_registered_once() -> None:
    with pytest.raises(ValueError, match="'mnist' is registered already"):
        register("mnist", summary="again")(lambda request: pytest.fail("never called"))


def test_loading_is_cached_by_name_size_and_seed() -> None:
    first = domain("optdigits")
    assert domain("optdigits") is first
    assert domain("optdigits", seed=1) is not first
    assert domain("optdigits", size=8) is not first


@pytest.mark.parametrize("size", [7, 0, -1, 1025])
def test_sizes_out_of_range_are_refused(size: int) -> None:
    with pytest.raises(SettingsError, match=f"size: found {size}, expected 8 to 1024 pixels"):
        domain("optdigits", size=size)


def test_root_defaults_to_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NTPRUNE_DATA", str(tmp_path))
    np.savez(tmp_path / "here.npz", images=np.zeros((20, 8, 8)), labels=np.arange(20) % 2)
    assert domain("npz:here.npz").size == 8


def test_importing_loads_no_heavy_library() -> None:
    heavy = ("torchvision", "matplotlib", "sklearn", "PIL")
    code = f"import sys, ntprune.domains; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
