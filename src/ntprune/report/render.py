"""From audit folders to `report.html` and `report.md`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ntprune.errors import AuditError, OutputError, reading
from ntprune.release.atomic import write_file
from ntprune.report.html import to_html
from ntprune.report.load import load
from ntprune.report.markdown import to_markdown

# As templates/report.md.j2 begins, and what is near the top of report.html.j2.
_FIRST, _TITLE, _TOP = b"# Model protection audit: ", b"<title>Model protection audit: ", 2000


def render(audits: Sequence[Path], out: Path) -> Path:
    """Write one report on `audits` to `out` and the same in Markdown beside it.

    The same audits give the same bytes.

    Args:
        audits: audit folders, in the order of the report.
        out: a file name that ends in `.html`; an older report of that name is replaced, as is that
            of the same name in Markdown.

    Returns:
        `out`.

    Raises:
        AuditError: no folder given, or one that holds no finished audit.
        OutputError: `out` is not an `.html` file name or can't be written, or something that is no
            report has its name or that of the Markdown.
    """
    out = Path(out)
    if out.suffix.lower() != ".html" or out.is_dir():
        raise OutputError(f"cannot write a report to {out}: choose a file name ending in .html")
    beside = out.with_suffix(".md")
    if not audits:
        raise AuditError("no audit folder given: name at least one that 'ntprune audit' wrote")
    for file, mark, within in ((out, _TITLE, _TOP), (beside, _FIRST, len(_FIRST))):
        with reading(file, OutputError):
            if file.exists() and mark not in file.read_bytes()[:within]:
                raise OutputError(
                    f"{file} is no report and would be replaced by one: choose another --out"
                )
    loaded = [load(Path(folder)) for folder in audits]
    page, twin = to_html(loaded), to_markdown(loaded)
    write_file(out, page.encode())
    write_file(beside, twin.encode())
    return out
