"""What each flag says to a reader: one text for the report and for docs/flags.md.

`python -m ntprune.audit.flags.texts > docs/flags.md` writes the page.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

_PAGE = """\
# Flags

An audit raises a flag when its numbers need a caveat. No flag changes a number. Which flags name \
which trick: [seeing through fake defences](fakes.md).
"""


@dataclass(frozen=True)
class Entry:
    """The entry of one flag, in sentences whose only markup is `code`.

    Attributes:
        raised: when it is raised; goes on after "Raised when".
        meaning: what that says about the numbers.
        remedy: what to do.
    """

    raised: str
    meaning: str
    remedy: str


@cache
def entries() -> dict[str, Entry]:
    """Every flag's entry by the flag's name, in the order in which flags are checked."""
    texts = yaml.safe_load((Path(__file__).parent / "texts.yaml").read_text(encoding="utf-8"))
    return {name: Entry(**text) for name, text in texts.items()}


def page() -> str:
    """docs/flags.md."""
    parts = [
        f"## {name}\n"
        f"- **Raised when** {entry.raised}\n"
        f"- **Meaning:** {entry.meaning}\n"
        f"- **What to do:** {entry.remedy}\n"
        for name, entry in entries().items()
    ]
    return "\n".join((_PAGE, *parts))


if __name__ == "__main__":
    print(page(), end="")
