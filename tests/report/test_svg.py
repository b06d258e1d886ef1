"""Figures inside a page."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure

from crosstrait.report.style import INK, figure_style, new_figure
from crosstrait.report.svg import TIP, inline_svg, svg_bytes


@pytest.fixture
def figure() -> Figure:
    with figure_style():
        made = new_figure(width_mm=60, height_mm=40)
        axes = made.subplots()
        (bar,) = axes.bar(0, 1, color=INK)
        bar.set_gid(f"{TIP}ridge: 0.4 <b>&")
        axes.plot([0, 1], [0.123456, 1], clip_on=True)
        axes.imshow(np.ones((2, 2, 4)), extent=(0, 1, 0, 1), interpolation="none")
        axes.set_xticks([0], ["Li $x$ <script>"])
    return made


def parsed(figure: Figure, name: str = "a") -> ElementTree.Element:
    text = inline_svg(figure, name=name, title="A title", description="A <description>")
    return ElementTree.fromstring(text)


def test_it_names_itself_to_a_screen_reader(figure: Figure) -> None:
    root = parsed(figure)
    ids = root.get("aria-labelledby").split()
    texts = [root.find(f".//*[@id='{name}']").text for name in ids]
    assert texts == ["A title", "A <description>"]
    assert root.get("role") == "img"


def test_two_figures_of_a_page_share_no_id(figure: Figure) -> None:
    ids = [{e.get("id") for e in parsed(figure, name).iter() if e.get("id")} for name in "ab"]
    assert not ids[0] & ids[1]


def test_every_reference_has_its_target(figure: Figure) -> None:
    root = parsed(figure)
    text = ElementTree.tostring(root, encoding="unicode")
    ids = {e.get("id") for e in root.iter()}
    assert set(re.findall(r"url\(#([^)]+)\)|href=\"#([^\"]+)\"", text))
    for pair in re.findall(r"url\(#([^)]+)\)|href=\"#([^\"]+)\"", text):
        assert (pair[0] or pair[1]) in ids


def test_text_stays_text_and_dollars_stay_dollars(figure: Figure) -> None:
    texts = ["".join(e.itertext()) for e in parsed(figure).iter() if e.tag.endswith("}text")]
    assert "Li $x$ <script>" in texts


def test_marked_parts_have_a_tip(figure: Figure) -> None:
    tips = [e.text for e in parsed(figure).iter() if e.tag.endswith("}title")]
    assert "ridge: 0.4 <b>&" in tips


def test_ink_follows_the_page_and_no_style_leaks_into_it(figure: Figure) -> None:
    text = inline_svg(figure, name="a", title="t", description="d")
    assert INK not in text
    assert "var(--ink)" in text
    assert "<style" not in text
    assert "metadata" not in text


def test_the_same_figure_gives_the_same_bytes(figure: Figure) -> None:
    assert svg_bytes(figure) == svg_bytes(figure)
    assert b"<dc:date>" not in svg_bytes(figure)


def test_signs_that_matplotlib_lacks_are_left_to_the_readers_font(figure: Figure) -> None:
    figure.axes[0].set_title("\u9178\u306e\u7cfb\u7d71")
    assert "\u9178" in inline_svg(figure, name="a", title="t", description="d")
