"""What commands print, and where."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from crosstrait.panel.schema import Panel


def say(text: str) -> None:
    """Print a line of the result."""
    print(text, flush=True)


def note(text: str) -> None:
    """Print a line about the result, beside it."""
    print(f"crosstrait: {text}", file=sys.stderr)


def out_console() -> Console:
    """Return the console of results; files are not 80 columns wide."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 120)


def err_console() -> Console:
    """Return the console of progress."""
    from rich.console import Console

    return Console(stderr=True)


def panel_size(panel: Panel) -> str:
    """Return the size of a panel in words."""
    sizes = panel.sizes
    traits = "1 trait" if sizes["traits"] == 1 else f"{sizes['traits']} traits"
    return f"{sizes['samples']:,} samples, {sizes['variants']:,} loci, {traits}"
