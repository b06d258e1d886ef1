"""Pictures of a report's sections, for the page that explains them.

    python docs/images/report_pictures.py demo     # the folder of `crosstrait demo`

They need Chromium and Playwright, as the browser tests do.
"""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
from support.browser import start_chromium, visit

HERE = Path(__file__).parent
PICTURES = {
    "report-answer": "header",
    "report-leaderboard": "#leaderboard",
    "report-traits": "#traits figure",
    "report-calibration": "#calibration figure",
    "report-cost": "#cost figure",
    "report-predictions": "#predictions figure",
    "report-training": "#training figure",
    "report-split": "#split",
}


def main(folder: Path) -> None:
    """Picture each section that is explained, on a page as wide as a laptop's window."""
    with (
        sync_playwright() as playwright,
        visit(start_chromium(playwright), folder / "report.html", width=1000) as seen,
    ):
        for name, selector in PICTURES.items():
            part = seen.page.locator(selector).first
            part.scroll_into_view_if_needed()
            part.screenshot(path=HERE / f"{name}.png", animations="disabled")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
