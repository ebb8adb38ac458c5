"""`folder:<path>`: both layouts, mixed modes, and the file named that cannot be read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ntprune.domains import domain
from ntprune.errors import DataInvalidError, DataMissingError


def fill(
    folder: Path,
    count: int = 6,
    size: tuple[int, int] = (12, 10),
    mode: str = "L",
    end: str = "png",
) -> None:
    folder.mkdir(parents=True)
    random = np.random.default_rng(count)
    for number in range(count):
        pixels = random.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(pixels).convert(mode).save(folder / f"{number}.{end}")


def test_class_folders_are_dealt(tmp_path: Path) -> None:
    fill(tmp_path / "cat")
    fill(tmp_path / "dog", end="JPG")
    fill(tmp_path / "eel", mode="1", end="bmp")
    (tmp_path / ".cache").mkdir()
    (tmp_path / "cat" / "notes.txt").write_text("not an image")
    loaded = domain(f"folder:{tmp_path}")
    assert loaded.classes == ("cat", "dog", "eel")
    assert (loaded.channels, loaded.size) == (1, 10)
    assert np.bincount(loaded.test.labels).tolist() == [1, 1, 1]
    assert len(loaded.train) + len(loaded.validation) + len(loaded.pool) == 15


def test_train_and_test_folders(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        fill(tmp_path / "train" / name, 5)
        fill(tmp_path / "test" / name, 4, mode="RGB", size=(9, 30))
    loaded = domain(f"folder:{tmp_path.name}", root=tmp_path.parent, size=8)
    assert (loaded.channels, loaded.size) == (3, 8)
    assert np.bincount(loaded.test.labels).tolist() == [4, 4]
    assert loaded.train.images[:, 0].equal(loaded.train.images[:, 2]), "grey became RGB"


def test_pixels_and_labels_stay_together(tmp_path: Path) -> None:
    for level, name in ((10, "dark"), (200, "light")):
        (tmp_path / name).mkdir()
        for number in range(5):
            Image.new("L", (8, 8), level + number).save(tmp_path / name / f"{number}.png")
    loaded = domain(f"folder:{tmp_path}")
    for split in (loaded.train, loaded.validation, loaded.pool, loaded.test):
        assert ((split.images[:, 0, 0, 0] > 100).long() == split.labels).all()


def test_a_large_first_image_is_capped(tmp_path: Path) -> None:
    for name in ("a", "b"):
        fill(tmp_path / name, 4, size=(300, 260))
    assert domain(f"folder:{tmp_path}").size == 224


def test_damaged_images_are_named(tmp_path: Path) -> None:
    for name in ("a", "b"):
        fill(tmp_path / name, 5, size=(64, 64))
    file = tmp_path / "b" / "3.png"
    whole = file.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"no image at all", whole[:40]):
        file.write_bytes(content)
        with pytest.raises(DataInvalidError, match=r"b/3.png: cannot be read as an image") as error:
            domain(f"folder:{tmp_path}")
        assert "\n" not in str(error.value)


def test_deep_pixels_are_refused(tmp_path: Path) -> None:
    fill(tmp_path / "a")
    fill(tmp_path / "b", 3)
    Image.fromarray(np.full((9, 9), 40_000, dtype=np.uint16)).save(tmp_path / "b" / "deep.png")
    with pytest.raises(DataInvalidError, match=r"deep.png: found pixels of more than 8 bits"):
        domain(f"folder:{tmp_path}")


def test_bad_layouts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataMissingError, match="looked for"):
        domain(f"folder:{tmp_path / 'absent'}")
    with pytest.raises(DataInvalidError, match=r"found 0 class folder\(s\)"):
        domain(f"folder:{tmp_path}")
    fill(tmp_path / "train" / "a")
    fill(tmp_path / "train" / "b")
    with pytest.raises(DataInvalidError, match=r"found train/ alone, expected train/ and test/"):
        domain(f"folder:{tmp_path}")
    fill(tmp_path / "test" / "a")
    fill(tmp_path / "test" / "c")
    with pytest.raises(DataInvalidError, match=r"class 'b' is in only one of train/ and test/"):
        domain(f"folder:{tmp_path}")
    (tmp_path / "train" / "a" / "0.png").rename(tmp_path / "file.png")
    with pytest.raises(DataInvalidError, match=r"found a file, expected a folder"):
        domain(f"folder:{tmp_path / 'file.png'}")


def test_an_empty_class_is_named(tmp_path: Path) -> None:
    fill(tmp_path / "a")
    (tmp_path / "b").mkdir()
    with pytest.raises(DataInvalidError, match=r"/b: found no image, expected .png"):
        domain(f"folder:{tmp_path}")


def test_tiny_images_are_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        fill(tmp_path / name, size=(5, 5))
    with pytest.raises(DataInvalidError, match="5×5 pixels, expected square ones of at least 8×8"):
        domain(f"folder:{tmp_path}")
