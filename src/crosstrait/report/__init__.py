"""Tables, figures and the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crosstrait.lazy import lazily

if TYPE_CHECKING:
    from crosstrait.report.gallery import FIGURES, find_plate
    from crosstrait.report.inspection import write_inspection
    from crosstrait.report.page import write_report
    from crosstrait.report.save import save_figure, save_plate

__all__ = ["FIGURES", "find_plate", "save_figure", "save_plate", "write_inspection", "write_report"]

# Imported on first use: matplotlib is heavy, and a leaderboard in the terminal needs none.
__getattr__ = lazily(
    __name__,
    {
        "FIGURES": "crosstrait.report.gallery",
        "find_plate": "crosstrait.report.gallery",
        "save_figure": "crosstrait.report.save",
        "save_plate": "crosstrait.report.save",
        "write_inspection": "crosstrait.report.inspection",
        "write_report": "crosstrait.report.page",
    },
)
