"""From a figure to SVG: the same bytes every time, and, inside a page, in the page's colours."""

from __future__ import annotations

import io
import re
import warnings
from xml.etree import ElementTree

from matplotlib.figure import Figure

from crosstrait.report.style import (
    BLUE,
    INK,
    LINE,
    MUTED,
    ORANGE,
    PAPER,
    SKY,
    WINE,
    YELLOW,
    figure_style,
)

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"

TIP = "tip:"
"""A figure part whose gid starts so has the rest shown when a pointer rests on it."""

# The page defines these for its light and its dark theme.
THEMED = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    LINE: "var(--line)",
    PAPER: "var(--bg)",
    BLUE: "var(--blue)",
    ORANGE: "var(--orange)",
    SKY: "var(--sky)",
    YELLOW: "var(--yellow)",
    WINE: "var(--wine)",
}
_LONG_NUMBER = re.compile(r"-?\d+\.\d{3,}")


def svg_bytes(figure: Figure) -> bytes:
    """Return the figure as a stand-alone SVG file, without a date."""
    buffer = io.BytesIO()
    with figure_style(), warnings.catch_warnings():
        # The reader's font draws the text, whatever signs matplotlib's own lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def inline_svg(figure: Figure, *, name: str, title: str, description: str) -> str:
    """Return the figure as an ``<svg>`` element to stand inside a page.

    Parameters
    ----------
    figure
        The figure.
    name
        Unique in the page: a prefix to its ids.
    title, description
        What a screen reader says: what the figure is, and what it shows.

    Notes
    -----
    Colours that suit one theme only become the page's CSS variables, coordinates are rounded to a
    hundredth of a point, and parts marked by `TIP` get a ``<title>``.
    """
    root = ElementTree.fromstring(svg_bytes(figure))
    _drop_metadata(root)
    referenced = set(re.findall(r"#([\w.:-]+)", ElementTree.tostring(root, encoding="unicode")))
    for element in root.iter():
        _mend(element, name, referenced)
    for attribute in ("width", "height", "version"):
        root.attrib.pop(attribute, None)
    root.set("role", "img")
    root.set("aria-labelledby", f"{name}-title {name}-desc")
    for place, (tag, text) in enumerate((("title", title), ("desc", description))):
        child = ElementTree.Element(f"{{{_SVG}}}{tag}", {"id": f"{name}-{tag}"})
        child.text = text
        root.insert(place, child)
    ElementTree.register_namespace("", _SVG)
    text = ElementTree.tostring(root, encoding="unicode", short_empty_elements=True)
    return re.sub(r">\s+<", "><", text)


def _drop_metadata(root: ElementTree.Element) -> None:
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{_SVG}}}metadata", f"{{{_SVG}}}style"):
                parent.remove(child)


def _mend(element: ElementTree.Element, name: str, referenced: set[str]) -> None:
    own = element.attrib.pop("id", None)
    if own and own.startswith(TIP):
        tip = ElementTree.Element(f"{{{_SVG}}}title")
        tip.text = own.removeprefix(TIP)
        element.insert(0, tip)
    elif own in referenced:
        element.set("id", f"{name}-{own}")
    href = element.attrib.pop(f"{{{_XLINK}}}href", None)
    if href is not None:
        inside = href.startswith("#")
        element.set("href", f"#{name}-{href[1:]}" if inside else "".join(href.split()))
    for key, value in element.attrib.items():
        if key in ("d", "x", "y", "transform", "points", "width", "height"):
            value = _LONG_NUMBER.sub(_rounded, value)
        elif key == "style":
            for colour, variable in THEMED.items():
                value = value.replace(colour, variable)
        element.set(key, value.replace("url(#", f"url(#{name}-"))


def _rounded(match: re.Match[str]) -> str:
    return f"{float(match[0]):.2f}".rstrip("0").rstrip(".")
