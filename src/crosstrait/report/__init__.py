"""Tables, figures and the page."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crosstrait.report.gallery import FIGURES, find_plate
    from crosstrait.report.inspection import write_inspection
    from crosstrait.report.page import write_report
    from crosstrait.report.save import save_figure, save_plate

__all__ = ["FIGURES", "find_plate", "save_figure", "save_plate", "write_inspection", "write_report"]

# Imported on first use: matplotlib is heavy, and a leaderboard in the terminal needs none.
_LAZY = {
    "FIGURES": "gallery",
    "find_plate": "gallery",
    "save_figure": "save",
    "save_plate": "save",
    "write_inspection": "inspection",
    "write_report": "page",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(f"crosstrait.report.{_LAZY[name]}"), name)
    raise AttributeError(f"module 'crosstrait.report' has no attribute {name!r}")
