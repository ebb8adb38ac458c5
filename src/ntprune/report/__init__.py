"""An audit as one HTML file and its Markdown twin."""

from ntprune.report.render import render

__all__ = ["render"]
