"""Each fake keeps the source and is a release like any other; else it tests nothing.

That it fools the evaluation it is sold on is asked where it is audited.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.fakes.fake import TRICKS, Fake
from tests.fakes.mask import lying_card
from tests.fakes.surgery import pairs
from tests.fakes.table import FAKES

from ntprune.audit.prepare import prepare
from ntprune.domains import Domain
from ntprune.engine import Resident
from ntprune.errors import ReleaseInvalidError
from ntprune.release import Release, check, load

EXACT = [fake for fake in FAKES if fake.loses == 0]


@pytest.fixture(scope="module")
def made(base: Release, source: Domain, target: Domain) -> dict[str, Release]:
    return {fake.name: fake.make(base, source, target) for fake in FAKES}


def logits(release: Release, source: Domain) -> torch.Tensor:
    images = Resident.of(source.test, release.model.preprocessing, torch.device("cpu")).images
    with torch.no_grad():
        found = release.model(images[:500])
    return (found - found.mean(1, keepdim=True)) / found.std()


@pytest.mark.parametrize("fake", EXACT, ids=lambda fake: fake.name)
def test_in_eval_mode_it_is_the_same_function(
    fake: Fake, made: dict[str, Release], base: Release, source: Domain
) -> None:
    """Up to the scale of the logits."""
    ours, theirs = logits(made[fake.name], source), logits(base, source)
    torch.testing.assert_close(ours, theirs, atol=2e-3, rtol=1e-3)
    assert made[fake.name].card.source.test == base.card.source.test


@pytest.mark.parametrize("fake", FAKES, ids=lambda fake: fake.name)
def test_the_source_is_kept(fake: Fake, made: dict[str, Release], base: Release) -> None:
    lost = 100 * (base.card.source.test - made[fake.name].card.source.test)
    assert lost <= fake.loses


@pytest.mark.parametrize("fake", FAKES, ids=lambda fake: fake.name)
def test_it_is_a_release_like_any_other(
    fake: Fake, made: dict[str, Release], base: Release, source: Domain, tmp_path: Path
) -> None:
    before = {k: v.clone() for k, v in base.model.module.state_dict().items()}
    made[fake.name].save(tmp_path / "fake")
    assert check(tmp_path / "fake", source).test == made[fake.name].card.source.test
    assert load(tmp_path / "fake").card.method == fake.name
    assert load(tmp_path / "fake.owner").card.method == "none"
    assert all(torch.equal(before[k], v) for k, v in base.model.module.state_dict().items())


def test_a_card_that_denies_the_mask_is_refused(
    base: Release, source: Domain, target: Domain, tmp_path: Path
) -> None:
    place = lying_card(base, source, target).save(tmp_path / "fake-lying-card")
    assert load(place).card.sparsity == 0
    with pytest.raises(ReleaseInvalidError) as refused:
        prepare(place, target, source=source)
    assert str(refused.value) == (
        f"{place}: 90.0 % of the weights are zero or next to it, the masks cover 0.0 %: "
        "release it with the masks that it was pruned by"
    )


def test_every_convolution_is_tampered_with(base: Release) -> None:
    convolutions = [m for m in base.model.module.modules() if isinstance(m, torch.nn.Conv2d)]
    assert [first for first, _ in pairs(base.model)] == convolutions


def test_names() -> None:
    assert len({fake.name for fake in FAKES}) == len(FAKES)
    page = (Path(__file__).parents[2] / "docs" / "fakes.md").read_text()
    assert "`fake-lying-card`" in page
    for fake in FAKES:
        assert fake.flags
        assert fake.flags.isdisjoint(fake.also)
        assert fake.flags | fake.also <= TRICKS
        entry = page.partition(f"### `{fake.name}`\n")[2].partition("\n#")[0]
        assert all(f"flags.md#{flag}" in entry for flag in fake.flags | fake.also), fake.name
