"""The leaderboard in the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.console import Console, ConsoleOptions, Group, JustifyMethod, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from crosstrait.evaluation.ceiling import above_ceiling
from crosstrait.report.answer import find_answer
from crosstrait.report.calibration import PERHAPS_ABOVE, SURELY_ABOVE
from crosstrait.report.folder import RunFolder
from crosstrait.report.numbers import (
    ABSENT,
    digits_of,
    duration,
    fixed,
    interval_text,
    share,
    significant,
    spread,
)
from crosstrait.report.resampling import WITHIN, resampling
from crosstrait.report.standings import Standing, standings

# Columns that a narrow terminal goes without, the first one first.
_SPARED = ("RMSE", "r", "of ceiling", "r within groups", "95\u00a0% interval", "training")
_WIDE = 1000


def leaderboard_table(folder: Path) -> Group:
    """Return an experiment's leaderboard for a `rich.console.Console`, and the answer in words.

    Parameters
    ----------
    folder
        What ``crosstrait run`` left.

    Raises
    ------
    StorageError, DataError
        If the folder holds no readable leaderboard.
    """
    content = RunFolder.read(folder)
    leaderboard, comparison = content.leaderboard, content.comparison
    rows = standings(leaderboard, comparison=comparison)
    with_ceiling = any(math.isfinite(row.ceiling_share) for row in rows)
    with_within = any(math.isfinite(row.r_within) for row in rows)
    drawn = resampling(content.experiment)
    n_traits = max(row.n_traits for row in rows)
    title = "R² of the test cells" if n_traits == 1 else f"Mean over {n_traits} traits"
    if content.experiment.get("protocol") == "complete-cases":
        title += ", complete cases only"
    columns = {
        "Model": [Text(row.model, style="bold green" if row.rank == 1 else "") for row in rows],
        "R²": [_r2(row) for row in rows],
        "95\u00a0% interval": [Text(interval_text(row.ci_low, row.ci_high)) for row in rows],
        "r": [Text(fixed(row.pearson_r)) for row in rows],
        "r within groups": [Text(fixed(row.r_within)) for row in rows],
        "RMSE": [Text(significant(row.rmse)) for row in rows],
        "of ceiling": [
            Text(share(row.ceiling_share), style="yellow" if row.ceiling_share > 1 else "")
            for row in rows
        ],
        "training": [Text(duration(row.train_seconds)) for row in rows],
        "R² minus the best's": [_difference(row) for row in rows],
    }
    if not with_ceiling:
        del columns["of ceiling"]
    if not with_within:
        del columns["r within groups"]
    table = _Leaderboard(title=title, columns=columns)
    notes = [Text(f"{row.model}: {row.note}", style="yellow") for row in rows if row.note]
    above = above_ceiling(leaderboard)
    surely = sorted(set(above.loc[above["sure"], "model"]))
    maybe = sorted(set(above["model"]) - set(surely))
    if surely:
        notes.append(
            Text(
                f"{', '.join(surely)} above the noise ceiling: {SURELY_ABOVE}",
                style="yellow",
            )
        )
    if maybe:
        notes.append(
            Text(f"{', '.join(maybe)} above the noise ceiling of a trait, but {PERHAPS_ABOVE}")
        )
    scored = any(math.isfinite(row.ci_low) for row in rows)
    if drawn.n_groups is not None and scored:
        text = f"Intervals and differences resample {drawn.drawn}, the same for every model."
        notes.append(Text(text))
    if drawn.caution and scored:
        notes.append(Text(drawn.caution, style="yellow"))
    if with_within:
        notes.append(Text(WITHIN))
    answer = find_answer(leaderboard, comparison=comparison)
    return Group(table, *notes, Text(answer.sentence, style="bold"))


@dataclass(frozen=True, kw_only=True)
class _Leaderboard:
    """A table that leaves columns out where the terminal is too narrow to hold all.

    A number that is cut off at its end would be another number.
    """

    title: str
    columns: dict[str, list[Text]]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        left_out: list[str] = []
        table = self._table(left_out)
        wide = options.update(width=_WIDE)
        for name in _SPARED:
            if Measurement.get(console, wide, table).maximum <= options.max_width:
                break
            if name in self.columns:
                left_out.append(name)
                table = self._table(left_out)
        yield table
        if left_out:
            yield Text(f"{', '.join(left_out)}: in leaderboard.csv and report.html", style="dim")

    def _table(self, left_out: Sequence[str]) -> Table:
        shown = {name: cells for name, cells in self.columns.items() if name not in left_out}
        table = Table(
            title=self.title,
            title_justify="left",
            title_style="bold",
            header_style="bold",
            box=box.SIMPLE_HEAD,
            pad_edge=False,
        )
        for name in shown:
            justify: JustifyMethod = "left" if name == "Model" else "right"
            table.add_column(name, justify=justify, overflow="fold")
        for cells in zip(*shown.values(), strict=True):
            table.add_row(*cells)
        return table


def _r2(row: Standing) -> Text:
    return Text.assemble(fixed(row.r2), (f" {spread(row.sd)}" if row.sd == row.sd else "", "dim"))


def _difference(row: Standing) -> Text:
    gap = row.to_best
    if gap is None:
        return Text("best" if row.rank == 1 else ABSENT, style="green" if row.rank == 1 else "dim")
    sure = gap.ci_high < 0 or gap.ci_low > 0
    digits = digits_of(gap.ci_low, gap.ci_high)
    interval = interval_text(gap.ci_low, gap.ci_high, digits=digits, sign=True)
    text = Text(fixed(gap.difference, digits=digits, sign=True), style="" if sure else "dim")
    return text.append(f" ({interval})", style="dim")
