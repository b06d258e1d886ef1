"""Figures as files: their size, their text, their bytes."""

from __future__ import annotations

import io
import re
import zlib
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from crosstrait.errors import SettingsError
from crosstrait.report import save_figure
from crosstrait.report.gallery import ENTRIES, find_plate
from crosstrait.report.save import TWO_COLUMNS_MM, figure_bytes, figure_path, save_plate
from crosstrait.report.svg import TIP
from support.run_folder import write_more_tables, write_run_folder

MM = 1 / 25.4


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_more_tables(write_run_folder(tmp_path_factory.mktemp("run")))


def pdf_letters(content: bytes) -> str:
    """Return the letters that the page's text orders draw, one after the other."""
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", content, re.DOTALL)
    orders = b"".join(zlib.decompress(s) for s in streams if s[:1] == b"x")
    letters = b"".join(re.findall(rb"\(((?:\\.|[^()])*)\)", orders))
    return letters.replace(b"\x00", b"").decode("latin-1")


@pytest.mark.parametrize("width_mm", [85.0, 180.0])
@pytest.mark.parametrize("name", list(ENTRIES))
def test_every_figure_is_as_wide_as_it_is_asked_to_be_and_fits_a_page(
    run: Path, name: str, width_mm: float
) -> None:
    figure = find_plate(name, folders=run).draw(width_mm=width_mm)
    width, height = figure.get_size_inches() / MM
    assert width == pytest.approx(width_mm)
    assert 15 < height <= 250


def test_a_png_has_300_dots_an_inch_on_white(run: Path, tmp_path: Path) -> None:
    path = save_figure("frontier", folders=run, out=tmp_path / "deep" / "f.png", width_mm=85)
    image = Image.open(path)
    assert image.width == pytest.approx(85 * MM * 300, abs=1)
    assert image.convert("RGBA").getpixel((0, 0)) == (255, 255, 255, 255)


def test_a_pdf_has_its_size_and_its_text_as_truetype(run: Path, tmp_path: Path) -> None:
    path = save_figure("scores", folders=str(run), out=str(tmp_path / "s.pdf"), width_mm=85)
    content = path.read_bytes()
    box = re.search(rb"/MediaBox \[ ?0 0 ([\d.]+)", content)
    assert box is not None
    assert float(box[1]) == pytest.approx(85 * MM * 72, abs=0.01)
    assert b"/FontFile2" in content  # TrueType, which editors open as text
    assert b"/Type3" not in content
    assert "ridge" in pdf_letters(content)


def test_an_svg_keeps_its_text_and_has_no_ids_of_a_page(run: Path, tmp_path: Path) -> None:
    path = save_figure("scores", folders=run, out=tmp_path / "s.svg")
    text = path.read_text()
    assert re.search(r"<text[^>]*>transformer</text>", text)
    assert TIP not in text


@pytest.mark.parametrize("format", ["pdf", "svg", "png"])
def test_the_same_run_gives_the_same_bytes(run: Path, format: str) -> None:
    draw = partial(find_plate("differences", folders=run).draw, width_mm=85)
    first, second = (figure_bytes(draw(), format=format) for _ in range(2))
    assert first == second
    assert not re.search(rb"20\d\d-\d\d-\d\d|CreationDate", first)


def test_without_a_width_a_figure_is_no_wider_than_its_contents_or_a_page(
    run: Path, tmp_path: Path
) -> None:
    for name in ("frontier", "observed-predicted"):
        plate = find_plate(name, folders=run)
        image = Image.open(io.BytesIO(save_plate(plate, out=tmp_path / "f.png").read_bytes()))
        expected = min(plate.width_mm, TWO_COLUMNS_MM) * MM * 300
        assert image.width == pytest.approx(expected, abs=1)


def test_the_file_tells_its_format_and_a_format_its_file() -> None:
    assert figure_path("scores", out=None, format=None) == Path("scores.pdf")
    assert figure_path("scores", out=None, format="svg") == Path("scores.svg")
    assert figure_path("scores", out="a/b.PNG", format=None) == Path("a/b.PNG")
    assert figure_path("scores", out="fig.1", format="pdf") == Path("fig.1.pdf")


@pytest.mark.parametrize(
    ("out", "format", "part"),
    [
        ("a.docx", None, "unknown format 'docx' (known: pdf, svg, png)"),
        ("a", None, "unknown format '' (known: pdf, svg, png)"),
        ("a.pdf", "png", "a.pdf does not end with .png"),
    ],
)
def test_a_file_of_another_format_is_refused(out: str, format: str | None, part: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(part)):
        figure_path("scores", out=out, format=format)


def test_a_width_without_room_for_text_is_refused_before_anything_is_read() -> None:
    with pytest.raises(SettingsError, match=r"60 to 600 mm wide; got 20 \(journals have 85"):
        save_figure("scores", folders="no/such", width_mm=20)
