"""What the commands of experiments are given."""

from __future__ import annotations

import argparse
from pathlib import Path


def command(about: str | None, *, out: str | None, results: str) -> argparse.ArgumentParser:
    """A parser with the folders that every experiment writes to.

    Args:
        about: the module's docstring, printed as it is.
        out: default folder of the work, `None` where there is none.
        results: default folder of the record.
    """
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    if out is not None:
        parser.add_argument(
            "--out",
            type=Path,
            default=Path(out),
            help=f"folder of models, releases and audits, taken up again after a stop ({out})",
        )
    parser.add_argument(
        "--results",
        type=Path,
        default=Path(results),
        help=f"folder of the record: tables, figures, reports ({results})",
    )
    return parser
