"""Small scatter plots of proxies against what was audited."""

from __future__ import annotations

import io
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

_COLUMNS = 3


def scatter(releases: list[dict[str, Any]], proxies: list[str], gap: str) -> str:
    """An SVG with one panel a proxy and one colour a group; the same releases give the same bytes.

    Args:
        releases: rows with `group`, `gaps` and `scores`.
        proxies: names of scores, along x.
        gap: name of the audited figure, along y; releases without it are left out.
    """
    there = [row for row in releases if gap in row["gaps"]]
    groups = list(dict.fromkeys(row["group"] for row in there))
    lines = -(-len(proxies) // _COLUMNS)
    style: Any = {"svg.hashsalt": "ntprune", "svg.fonttype": "none", "font.size": 8.0}
    with mpl.rc_context(style):
        figure = Figure((7.5, 2.3 * lines + 0.2 * len(groups) + 0.2), layout="constrained")
        panels = figure.subplots(lines, _COLUMNS, squeeze=False, sharey=True).flat
        for panel, name in zip(panels, proxies, strict=False):
            for index, group in enumerate(groups):
                rows = [row for row in there if row["group"] == group]
                xs, ys = [r["scores"][name] for r in rows], [r["gaps"][gap] for r in rows]
                panel.scatter(xs, ys, s=16, color=f"C{index % 10}", label=group)
            panel.axhline(0, color="0.7", linewidth=0.8, zorder=0)
            panel.set_xlabel(name)
        for panel in list(panels)[len(proxies) :]:
            panel.set_visible(False)
        figure.supylabel(f"audited SLC-AUC, {gap}")
        labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(*labels, loc="outside lower center", frameon=False)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()
