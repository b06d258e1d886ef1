"""Commands for figures of papers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from crosstrait.commands.output import say

Models = Annotated[
    tuple[str, ...],
    Parameter(name="--model", negative="", consume_multiple=False, show_default=False),
]


def figure(
    name: str,
    /,
    *folders: Path,
    out: Path | None = None,
    format: Literal["pdf", "svg", "png"] | None = None,
    width_mm: float | None = None,
    models: Models = (),
) -> None:
    """Draw a figure of finished runs for a paper; its caption is printed.

    Parameters
    ----------
    name
        The article's: fig1 (published values and rijal), fig2 (and canonical), fig3 (and
        transformer). The report's: scores, differences, frontier, curves, observed-predicted,
        missing, correlations, calibration, scopes.
    folders
        The folder of an experiment or of one run; several for fig1 to fig3.
    out
        The file to write; NAME.FORMAT where not given.
    format
        As the file ends, or pdf. Text stays text in pdf and svg; png has 300 dpi.
    width_mm
        Width, 60 to 600; journals have 85 (a column) and 180 (a page). What suits the contents,
        180 at most, where not given.
    models
        A model to show, of all or in place of the article's; may be repeated.
    """
    from crosstrait.report.gallery import find_plate
    from crosstrait.report.save import check_width, figure_path, save_plate

    path = figure_path(name, out=out, format=format)
    check_width(width_mm)
    plate = find_plate(name, folders=folders, models=models)
    say(f"{save_plate(plate, out=path, width_mm=width_mm)}: {plate.title}")
    say(plate.caption)
