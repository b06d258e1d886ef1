"""How figures look: sizes in millimetres, editable text, colours that a colour-blind reader sees.

Figures are made through matplotlib's object interface, so that no window system is touched and
the importing program's own settings stay as they are.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
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
# Paul Tol's muted palette (https://sronpersonalpages.nl/~pault) and ColorBrewer's brown-teal one
# (https://colorbrewer2.org) have the three that are still missing.
WINE, OLIVE, BROWN = "#882255", "#999933", "#a6611a"

# A model of crosstrait's has the same colour in every report.
_OWN = {
    "ridge": GREY,
    "trees": GREEN,
    "rijal": ORANGE,
    "canonical": VERMILLION,
    "transformer": BLUE,
    "residual": PURPLE,
    "gp": SKY,
    "sparse_attention": WINE,
    "lasso": BROWN,
    "multi_gblup": YELLOW,
    "stack": OLIVE,
    "rijal_multienv": INK,
}

MM = 1 / 25.4
FONT_POINTS = 8.0
POINT_MM = 25.4 / 72

PAGE_HEIGHT_MM = 240.0
"""What a journal's page has room for, with a caption."""

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


def text_mm(text: str, *, points: float = FONT_POINTS) -> float:
    """Return about how wide a line of text is; DejaVu Sans is 0.55 of its size a character."""
    return 0.55 * points * POINT_MM * len(text)


def folded(text: str, *, width_mm: float, points: float, lines: int = 2) -> str:
    r"""Return a name in lines of that width, cut where they are too few.

    Examples
    --------
    >>> folded("Magnesium_Sulfate", width_mm=14, points=6)
    'Magnesium_\nSulfate'
    >>> folded("x4-Hydroxybenzaldehyde", width_mm=16, points=6)
    'x4-Hydroxybe-\nnzaldehyde'
    """
    fits = max(5, int(width_mm / text_mm("x", points=points)))
    done = [""]
    for part in re.findall("[^ _:-]*[ _:-]|[^ _:-]+", text):
        while part:
            room = fits - len(done[-1])
            if len(part) <= room:
                done[-1] += part
                part = ""
            elif len(part) > fits and room > 4:
                at = min(room - 1, len(part) - 3)  # no letter goes alone
                done[-1] += f"{part[:at]}-"
                part = part[at:]
            else:
                done.append("")
    done = [line for line in done if line]
    if len(done) > lines:
        done = [*done[: lines - 1], f"{done[lines - 1][: fits - 1]}…"]
    return "\n".join(done)


@dataclass(frozen=True, kw_only=True)
class LegendShape:
    """How the entries of a legend above a figure are set in columns."""

    labels: Sequence[str]

    def columns(self, width_mm: float) -> int:
        """Return how many columns fit."""
        widest = max((text_mm(label) for label in self.labels), default=0.0) + 10
        return max(1, min(len(self.labels), int(width_mm // max(24.0, widest))))

    def height_mm(self, width_mm: float) -> float:
        """Return the height with the space around it."""
        return 5 + 4.3 * math.ceil(len(self.labels) / self.columns(width_mm))


def model_colours(models: Iterable[str]) -> dict[str, str]:
    """Return a colour for each model: its own, or one that its name decides.

    A model of crosstrait's always has the same. So has any other name, unless another of
    ``models`` asks for the same colour; one such as ``ridge-single`` asks for a tint of ridge's.

    Examples
    --------
    >>> model_colours(["trees", "trees-single"])
    {'trees': '#009e73', 'trees-single': '#7fceb9'}
    """
    found: dict[str, str] = {}
    free = _others()
    names = list(dict.fromkeys(models))
    for name in sorted(set(names) - set(_OWN)):
        kind = re.split("[-_. ]", name)[0]
        wanted = _blended(_OWN[kind], PAPER) if kind in _OWN else ""
        start = int(hashlib.sha256(name.encode()).hexdigest(), 16) % len(free)
        turned = [wanted, *free[start:], *free[:start]]
        left = [colour for colour in turned if colour in free and colour not in found.values()]
        found[name] = (left or free[start:])[0]
    return {name: _OWN.get(name) or found[name] for name in names}


def _others() -> list[str]:
    """Return the colours of other names: tints and shades of those of the known ones."""
    light = [_blended(colour, PAPER) for colour in _OWN.values() if colour not in (INK, YELLOW)]
    dark = [_blended(colour, INK) for colour in (GREEN, ORANGE, VERMILLION, PURPLE, SKY, OLIVE)]
    return light + dark


def _blended(colour: str, other: str) -> str:
    """Return the colour half-way to another."""
    pairs = ((int(colour[k : k + 2], 16), int(other[k : k + 2], 16)) for k in (1, 3, 5))
    return "#" + "".join(f"{(mine + theirs) // 2:02x}" for mine, theirs in pairs)


def light_grid(axes: Axes, *, axis: str) -> None:
    """Draw faint lines across ``axis`` ("x" or "y") and hide its own line."""
    axes.grid(visible=True, axis="x" if axis == "x" else "y")
    axes.spines["bottom" if axis == "x" else "left"].set_visible(False)
    axes.tick_params(axis="x" if axis == "x" else "y", length=0)
