"""The leaderboard in the terminal."""

from __future__ import annotations

import math
from pathlib import Path

from rich.console import Group
from rich.table import Table
from rich.text import Text

from crosstrait.evaluation.ceiling import above_ceiling
from crosstrait.report.answer import find_answer
from crosstrait.report.folder import RunFolder
from crosstrait.report.numbers import (
    ABSENT,
    duration,
    fixed,
    interval_text,
    share,
    significant,
    spread,
)
from crosstrait.report.standings import Standing, standings


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
    n_traits = max(row.n_traits for row in rows)
    title = "R² of the test cells" if n_traits == 1 else f"Mean over {n_traits} traits"
    if content.experiment.get("protocol") == "complete-cases":
        title += ", complete cases only"
    table = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
    table.add_column("Model", no_wrap=True)
    for name in ("R²", "95\u00a0% interval", "r", "RMSE"):
        table.add_column(name, justify="right", no_wrap=True)
    if with_ceiling:
        table.add_column("of ceiling", justify="right", no_wrap=True)
    table.add_column("training", justify="right", no_wrap=True)
    table.add_column("R² minus the best's", justify="right", no_wrap=True)
    for row in rows:
        cells: list[str | Text] = [
            Text(row.model, style="bold green" if row.rank == 1 else ""),
            Text.assemble(fixed(row.r2), (f" {spread(row.sd)}" if row.sd == row.sd else "", "dim")),
            interval_text(row.ci_low, row.ci_high),
            fixed(row.pearson_r),
            significant(row.rmse),
        ]
        if with_ceiling:
            cells.append(
                Text(share(row.ceiling_share), style="yellow" if row.ceiling_share > 1 else "")
            )
        cells += [duration(row.train_seconds), _difference(row)]
        table.add_row(*cells)
    notes = [Text(f"{row.model}: {row.note}", style="yellow") for row in rows if row.note]
    above = above_ceiling(leaderboard)
    surely = sorted(set(above.loc[above["ci_low"] > 1, "model"]))
    maybe = sorted(set(above["model"]) - set(surely))
    if surely:
        notes.append(
            Text(
                f"{', '.join(surely)} above the noise ceiling: the standard errors overstate the "
                f"noise, or something leaked",
                style="yellow",
            )
        )
    if maybe:
        notes.append(
            Text(
                f"{', '.join(maybe)} above the noise ceiling of a trait by no more than the test "
                f"samples' chance"
            )
        )
    answer = find_answer(leaderboard, comparison=comparison)
    return Group(table, *notes, Text(answer.sentence, style="bold"))


def _difference(row: Standing) -> Text:
    gap = row.to_best
    if gap is None:
        return Text("best" if row.rank == 1 else ABSENT, style="green" if row.rank == 1 else "dim")
    sure = gap.ci_high < 0 or gap.ci_low > 0
    text = Text(fixed(gap.difference, sign=True), style="" if sure else "dim")
    return text.append(f" ({interval_text(gap.ci_low, gap.ci_high, sign=True)})", style="dim")
