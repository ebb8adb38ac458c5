"""An audit as one HTML file and its Markdown twin."""

from ntprune.report.render import render
from ntprune.report.verdict import Verdict, judge

__all__ = ["Verdict", "judge", "render"]
