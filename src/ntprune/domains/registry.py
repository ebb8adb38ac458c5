"""Names of domains, and how each is loaded."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ntprune.domains.check import check_domain
from ntprune.domains.domain import Domain, Split
from ntprune.domains.names import ParsedName, choose, parse_name
from ntprune.domains.rawset import Fetcher, Loader, Request
from ntprune.domains.resize import resize
from ntprune.domains.splits import hold_out_test, split_rest
from ntprune.errors import (
    DataInvalidError,
    DataMissingError,
    SettingsError,
    UnknownNameError,
    reading,
)

SIZES = range(8, 1025)


@dataclass(frozen=True)
class Entry:
    """One registered domain, or one pattern such as `npz:<path>`."""

    summary: str
    load: Loader
    flips: bool
    size: int | None
    fetch: Fetcher | None


_ENTRIES: dict[str, Entry] = {}


def register(
    name: str,
    *,
    summary: str,
    flips: bool = False,
    size: int | None = None,
    fetch: Fetcher | None = None,
) -> Callable[[Loader], Loader]:
    """Enter a loader under `name`.

    Args:
        name: a plain name, or a pattern: `npz:<path>` takes any `npz:...`.
        summary: one line for `ntprune domains`.
        flips: whether a mirrored image keeps its meaning.
        size: default side in pixels; None keeps what the loader gives.
        fetch: downloads the files into a data root; None where there is nothing to fetch.

    Raises:
        ValueError: the name is taken.
    """

    def enter(loader: Loader) -> Loader:
        if name in _ENTRIES:
            raise ValueError(f"a domain named '{name}' is registered already")
        _ENTRIES[name] = Entry(summary, loader, flips, size, fetch)
        return loader

    return enter


def domain_names() -> list[str]:
    """Every name that `domain` takes as it stands; patterns are in `describe`."""
    return [name for name in _ENTRIES if "<" not in name]


def describe() -> dict[str, str]:
    """Name or pattern to one-line summary."""
    return {name: entry.summary for name, entry in _ENTRIES.items()}


def domain(
    name: str,
    root: str | Path | None = None,
    *,
    size: int | None = None,
    download: bool = False,
    seed: int = 0,
) -> Domain:
    """Load a labelled image set and deal it into four disjoint, stratified splits.

    What a domain holds and which images are test never depend on `seed`; it only moves the rest
    between train, validation and pool. The last 8 domains are kept in memory; one that is read
    from a file or folder given by path is read again once that has changed.

    Args:
        name: a registered name, `npz:<path>` or `folder:<path>`, each with an optional class filter
            of names or indices in brackets: `cifar10[cat,dog]`. Labels follow the filter's order.
        root: data root; by default the environment's NTPRUNE_DATA, else "data".
        size: side in pixels, 8 to 1024; by default the domain's own.
        download: fetch the files first, where the domain has something to fetch.
        seed: fixes the deal.

    Returns:
        A checked domain, whose name is `name` as given.

    Raises:
        UnknownNameError: no such domain.
        DataMissingError: a file is not there or cannot be fetched.
        DataInvalidError: a file can't be read, or holds nothing an experiment can be run on.
        SettingsError: a size out of range.
    """
    if size is not None and size not in SIZES:
        raise SettingsError(f"size: found {size}, expected {SIZES[0]} to {SIZES[-1]} pixels")
    parsed = parse_name(name)
    entry = _find(parsed)
    place = _at_home(Path(root or os.environ.get("NTPRUNE_DATA") or "data")).absolute()
    if download and entry.fetch is not None:
        entry.fetch(place)
        _load.cache_clear()
    with reading(place, DataInvalidError):
        if not parsed.is_path:
            return _load(name, place, size, seed, None, None)
        path = _locate(parsed, place)
        return _load(name, place, size, seed, path, _stamp(path))


def _find(parsed: ParsedName) -> Entry:
    key = f"{parsed.scheme}:<path>" if parsed.is_path else parsed.base
    if key not in _ENTRIES or "<name>" in key or (parsed.is_path and not parsed.argument):
        raise UnknownNameError("domain", parsed.base, _ENTRIES)
    return _ENTRIES[key]


def _at_home(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise DataMissingError(f"{path}: there is no such home folder: correct the path") from error


def _locate(parsed: ParsedName, root: Path) -> Path:
    given = _at_home(Path(parsed.argument))
    places = list(dict.fromkeys((given.absolute(), root / given)))
    for place in places:
        if place.exists():
            return place
    raise DataMissingError(
        f"{parsed.base}: looked for {' and '.join(map(str, places))} and found nothing: correct "
        "the path or the data root (--data-root, NTPRUNE_DATA)"
    )


def _stamp(path: Path) -> int:
    """Changes when the file, or a file of the folder, is written, added or removed."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    states = ((str(file), file.stat()) for file in files if file.is_file())
    return hash(tuple((file, state.st_mtime_ns, state.st_size) for file, state in states))


@lru_cache(maxsize=8)
def _load(
    name: str, root: Path, size: int | None, seed: int, path: Path | None, stamp: int | None
) -> Domain:
    parsed = parse_name(name)
    entry = _find(parsed)
    wanted = size or entry.size
    argument = parsed.argument if path is None else str(path)
    raw = entry.load(Request(argument, root, wanted))
    chosen = choose(parsed, raw.classes)
    # All classes are dealt before some are left out, so that an image is on the same side whatever
    # the filter: what a thief draws from is never what somebody protected with another filter.
    identity = parsed.identity(path)
    rest, test = raw.rest, raw.test
    if test is None:
        rest, test = hold_out_test(rest, raw.classes, identity, wanted=chosen.indices)
    dealt = (*split_rest(rest, raw.classes, identity, seed, wanted=chosen.indices), test)
    kept = dealt if parsed.classes is None else map(chosen.of, dealt)
    splits = (Split(resize(split.images, wanted), split.labels) for split in kept)
    classes = tuple(raw.classes[index] for index in chosen.indices)
    return check_domain(Domain(name, classes, *splits, flips=entry.flips))
