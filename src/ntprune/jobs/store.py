"""Image sets by content hash, so that workers load them and no tensor travels between processes."""

from __future__ import annotations

import json
from dataclasses import fields
from functools import lru_cache
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes

from ntprune.domains import Domain, Split
from ntprune.errors import AuditError
from ntprune.release.atomic import write_file

_SPLITS = tuple(f.name for f in fields(Domain) if f.type in ("Split", Split))


class Store:
    """A folder of domains named by their content hash.

    Args:
        folder: created when the first domain is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, domain: Domain) -> str:
        """Write `domain` unless it is there already; returns its content hash.

        Raises:
            OutputError: the folder is not writable or full.
        """
        file = self._file(domain.content_hash)
        if not file.exists():
            tensors = {}
            for name in _SPLITS:
                split: Split = getattr(domain, name)
                tensors[f"{name}.images"] = split.images.contiguous()
                tensors[f"{name}.labels"] = split.labels.contiguous()
            about = {"name": domain.name, "classes": domain.classes, "flips": domain.flips}
            write_file(file, to_bytes(tensors, {"domain": json.dumps(about)}))
        return domain.content_hash

    def get(self, content_hash: str) -> Domain:
        """The domain with that hash.

        Raises:
            AuditError: it is not in the store, or its file is damaged.
        """
        return _load(self._file(content_hash))

    def _file(self, content_hash: str) -> Path:
        return self.folder / f"{content_hash}.safetensors"


@lru_cache(maxsize=4)
def _load(file: Path) -> Domain:
    if not file.exists():
        raise AuditError(f"{file} is missing: start the audit again, it puts its data there")
    try:
        with safe_open(file, "pt") as content:
            about = json.loads(content.metadata()["domain"])
            splits = [
                Split(*(content.get_tensor(f"{part}.{k}") for k in ("images", "labels")))
                for part in _SPLITS
            ]
        found = Domain(about["name"], tuple(about["classes"]), *splits, flips=about["flips"])
    except (SafetensorError, LookupError, TypeError, ValueError) as error:
        raise _damaged(file) from error
    # What an audit measures must be what its jobs' ids name.
    if found.content_hash != file.stem:
        raise _damaged(file)
    return found


def _damaged(file: Path) -> AuditError:
    return AuditError(f"{file} is damaged: delete it and start the audit again")
