"""Small scatter plots of proxies against what was audited."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from ntprune.report.svg import GRID, SERIES, WIDE, standalone
from ntprune.report.text import clean

_COLUMNS = 3
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def scatter(releases: list[dict[str, Any]], proxies: list[str], gap: str) -> str:
    """An SVG with one panel a proxy and one mark a group; the same releases give the same bytes.

    Args:
        releases: rows with `group`, `gaps` and `scores`.
        proxies: names of scores, along x.
        gap: name of the audited figure, along y; releases without it are left out.
    """
    there = [row for row in releases if gap in row["gaps"]]
    groups = list(dict.fromkeys(row["group"] for row in there))
    lines = -(-len(proxies) // _COLUMNS)

    def draw(figure: Figure, width: int) -> None:
        panels = list(figure.subplots(lines, _COLUMNS, squeeze=False, sharey=True).flat)
        for panel, name in zip(panels, proxies, strict=False):
            panel.axhline(0, color=GRID, linewidth=1)
            panel.set_xlabel(name)
            panel.locator_params(axis="x", nbins=4)
            for index, group in enumerate(groups):
                rows = [row for row in there if row["group"] == group]
                panel.scatter(
                    [row["scores"][name] for row in rows],
                    [row["gaps"][gap] for row in rows],
                    s=22,
                    color=SERIES[index % len(SERIES)],
                    marker=_MARKERS[index % len(_MARKERS)],
                    label=clean(group, 90),
                )
        for panel in panels[len(proxies) :]:
            panel.set_visible(False)
        figure.supylabel(f"audited SLC-AUC, {gap}", fontsize=12)
        labels = panels[0].get_legend_handles_labels()
        figure.legend(*labels, loc="outside lower center")

    caption = f"Audited SLC-AUC of {gap} against each proxy, one mark a release."
    return standalone("proxies", caption, WIDE, 180 * lines + 22 * len(groups) + 10, draw)
