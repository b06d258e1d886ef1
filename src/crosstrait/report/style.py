"""How figures look: sizes in millimetres, editable text, colours that a colour-blind reader sees.

Figures are made through matplotlib's object interface, so that no window system is touched and
the importing program's own settings stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK = "#1b2027"
MUTED = "#586271"
LINE = "#d5dbe3"
PAPER = "#ffffff"

# Okabe and Ito's palette (https://jfly.uni-koeln.de/color); grey, not its black, for the baseline,
# since black would be the loudest on a light page and invisible on a dark one.
BLUE, ORANGE, GREEN, VERMILLION = "#0072b2", "#e69f00", "#009e73", "#d55e00"
PURPLE, SKY, YELLOW, GREY = "#cc79a7", "#56b4e9", "#f0e442", "#76818f"
# Paul Tol's muted palette (https://sronpersonalpages.nl/~pault) has the two that are still missing.
WINE, OLIVE = "#882255", "#999933"

# A known model has the same colour in every report.
_OWN = {
    "ridge": GREY,
    "trees": GREEN,
    "rijal": ORANGE,
    "canonical": VERMILLION,
    "transformer": BLUE,
    "residual": PURPLE,
    "gp": SKY,
    "sparse_attention": WINE,
}
_FREE = (INK, YELLOW, OLIVE)

MM = 1 / 25.4
FONT_POINTS = 8.0

_SETTINGS: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib: the same layout everywhere
    "font.size": FONT_POINTS,
    "axes.titlesize": FONT_POINTS,
    "axes.labelsize": FONT_POINTS,
    "xtick.labelsize": FONT_POINTS - 1,
    "ytick.labelsize": FONT_POINTS - 1,
    "legend.fontsize": FONT_POINTS,
    "text.color": INK,
    "text.parse_math": False,  # a "$" in a trait's name is a "$"
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.6,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "crosstrait",
    "pdf.fonttype": 42,
    "savefig.dpi": 300,
}


@contextmanager
def figure_style() -> Iterator[None]:
    """Apply the style while a figure is made or saved, and only then."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)
        yield


def new_figure(*, width_mm: float, height_mm: float, constrained: bool = True) -> Figure:
    """Return an empty figure of that size."""
    return Figure(
        figsize=(width_mm * MM, height_mm * MM), layout="constrained" if constrained else None
    )


def model_colours(models: Iterable[str]) -> dict[str, str]:
    """Return a colour for each model, its own where it is a known one.

    Examples
    --------
    >>> model_colours(["trees", "ours"])
    {'trees': '#009e73', 'ours': '#1b2027'}
    """
    names = list(models)
    free = [*_FREE, *(colour for name, colour in _OWN.items() if name not in names)]
    others = sorted(set(names) - set(_OWN))
    return {
        name: _OWN[name] if name in _OWN else free[others.index(name) % len(free)] for name in names
    }


def light_grid(axes: Axes, *, axis: str) -> None:
    """Draw faint lines across ``axis`` ("x" or "y") and hide its own line."""
    axes.grid(visible=True, axis="x" if axis == "x" else "y")
    axes.spines["bottom" if axis == "x" else "left"].set_visible(False)
    axes.tick_params(axis="x" if axis == "x" else "y", length=0)
