"""Figures as files for papers: a size in millimetres, editable text, the same bytes each time."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.artist import Artist
from matplotlib.figure import Figure

from crosstrait.errors import SettingsError, unknown
from crosstrait.experiments.storage import make_folder, storage_errors
from crosstrait.files import beside
from crosstrait.report.gallery import find_plate
from crosstrait.report.plates import Plate
from crosstrait.report.style import PAPER, figure_style

TWO_COLUMNS_MM = 180.0
"""The width of a journal's page of two columns; one of them is 85."""

_WIDTHS_MM = (60.0, 600.0)

# Format -> what would make two files of one figure differ.
_METADATA: dict[str, dict[str, Any]] = {
    "pdf": {"CreationDate": None},
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
}


def save_figure(
    name: str,
    *,
    folders: Path | str | Sequence[Path | str],
    out: Path | str | None = None,
    format: str | None = None,
    width_mm: float | None = None,
    models: Sequence[str] = (),
) -> Path:
    """Write a figure of finished runs for a paper.

    Parameters
    ----------
    name, folders, models
        Which figure, as in `crosstrait.report.find_plate`.
    out, format, width_mm
        Where, and how, as in `crosstrait.report.save_plate`.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    SettingsError
        If the figure, a model, the format or the width is none of those there are.
    DataError
        If the folder does not hold what the figure shows.
    StorageError
        If a folder is no experiment's and no run's, or the file cannot be written.

    Examples
    --------
    >>> save_figure("scores", folders="results", out="scores.docx")
    Traceback (most recent call last):
    ...
    crosstrait.errors.SettingsError: unknown format 'docx' (known: pdf, svg, png)
    """
    path = figure_path(name, out=out, format=format)
    check_width(width_mm)
    plate = find_plate(name, folders=folders, models=models)
    return save_plate(plate, out=path, width_mm=width_mm)


def save_plate(plate: Plate, *, out: Path, width_mm: float | None = None) -> Path:
    """Write one figure; the same figure gives the same bytes.

    Parameters
    ----------
    plate
        The figure.
    out
        The file, which ends with ``.pdf``, ``.svg`` or ``.png`` (300 dpi, on white). Text stays
        text in the first two, TrueType in PDF.
    width_mm
        Width in millimetres, 60 to 600; journals have 85 (one column) and 180 (two). Where not
        given, what suits the contents, 180 at most. The height follows from it.
    """
    check_width(width_mm)
    figure = plate.draw(width_mm=width_mm or min(plate.width_mm, TWO_COLUMNS_MM))
    content = figure_bytes(figure, format=out.suffix[1:].lower())
    make_folder(out.parent)
    partial = beside(out)
    with storage_errors(out):
        try:
            partial.write_bytes(content)
            partial.replace(out)
        finally:
            partial.unlink(missing_ok=True)
    return out


def figure_path(name: str, *, out: Path | str | None, format: str | None) -> Path:
    """Return the file of a figure; ``NAME.pdf`` in the working folder where nothing is given."""
    path = Path(f"{name}.{format or 'pdf'}" if out is None else out)
    kind = path.suffix[1:].lower()
    if out is not None and format is not None and format != kind:
        if kind in _METADATA:
            raise SettingsError(f"{path} does not end with .{format}, the format asked for")
        path = path.with_name(f"{path.name}.{format}")
        kind = format
    if kind not in _METADATA:
        raise SettingsError(unknown("format", kind, _METADATA))
    return path


def check_width(width_mm: float | None) -> None:
    """Refuse a width that no text fits into."""
    low, high = _WIDTHS_MM
    if width_mm is not None and not low <= width_mm <= high:
        raise SettingsError(
            f"a figure can be {low:g} to {high:g} mm wide; got {width_mm:g} (journals have 85 and "
            f"180)"
        )


def figure_bytes(figure: Figure, *, format: str) -> bytes:
    """Return the figure as a file's contents, without a date."""
    for artist in figure.findobj(Artist):
        artist.set_gid(None)  # the tips of a page
    buffer = io.BytesIO()
    with figure_style(), warnings.catch_warnings():
        # The reader's font draws the text of an SVG, whatever signs matplotlib's own lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(
            buffer,
            format=format,
            metadata=_METADATA[format],
            facecolor=PAPER if format == "png" else "none",
        )
    return buffer.getvalue()
