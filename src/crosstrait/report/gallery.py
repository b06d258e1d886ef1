"""Every figure by name, from the files of finished runs, of all or of chosen models."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from crosstrait.errors import DataError, SettingsError, listed, unknown
from crosstrait.evaluation.leaderboard import MEAN, LeaderboardRow, leaderboard_rows
from crosstrait.report import plates
from crosstrait.report.answer import Answer, find_answer
from crosstrait.report.article import ARTICLE, article_plate
from crosstrait.report.calibration import calibration_plate
from crosstrait.report.folder import RunFolder
from crosstrait.report.plates import Plate
from crosstrait.report.resampling import resampling
from crosstrait.report.scopes import scope_plate
from crosstrait.report.style import BLUE, model_colours


@dataclass(frozen=True, kw_only=True, eq=False)
class Selection:
    """A folder, and which of its models to show.

    Attributes
    ----------
    folder
        What an experiment left.
    models
        Their names; all where empty. A model keeps its colour whatever stands beside it.
    """

    folder: RunFolder
    models: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        known = list(dict.fromkeys(self.folder.leaderboard["model"]))
        for model in self.models:
            if model not in known:
                raise SettingsError(f"{self.folder.path} has an {unknown('model', model, known)}")

    @cached_property
    def leaderboard(self) -> pd.DataFrame:
        """The scores of the models."""
        return self._of(self.folder.leaderboard)

    @cached_property
    def answer(self) -> Answer:
        """Which model is best, and by how much."""
        return find_answer(self.leaderboard, comparison=self.folder.comparison)

    @cached_property
    def colours(self) -> dict[str, str]:
        """Model -> colour."""
        return model_colours(dict.fromkeys(self.folder.leaderboard["model"]))

    @cached_property
    def rows(self) -> list[LeaderboardRow]:
        """R2 by model and trait."""
        rows = leaderboard_rows(self.leaderboard, metric="r2")
        return [row for row in rows if row.trait != MEAN]

    @cached_property
    def traits(self) -> list[str]:
        """The traits that were scored, in the panel's order."""
        traits = list(dict.fromkeys(row.trait for row in self.rows))
        names = list(self.folder.experiment.get("panel", {}).get("trait_names", traits))
        return sorted(traits, key=lambda t: names.index(t) if t in names else len(names))

    @property
    def units(self) -> str:
        """What the SD is over."""
        splits = self.folder.experiment.get("splits", [])
        apart = len(splits) > 1 and not splits[0]["pooled"]
        return "replicates and splits" if apart else "replicates"

    @cached_property
    def shown(self) -> str | None:
        """The one model whose predictions are drawn: the best, or the first that was chosen."""
        best = self.answer.best
        return best.model if best else next(iter(self.models), None)

    @cached_property
    def cells(self) -> tuple[pd.DataFrame, str, list[str]] | None:
        """The predictions, the model that is shown and its traits.

        Raises
        ------
        DataError
            If the predictions are not those that the leaderboard scores.
        """
        cells, model = self.folder.cells, self.shown
        if cells is None or model is None:
            return None
        scored = {row.trait for row in self.rows if row.model == model}
        found = set(cells.loc[cells["model"] == model, "trait"].unique())
        if found != scored:
            raise DataError(
                f"predictions.parquet has {len(found)} traits of model {model!r}, leaderboard.csv "
                f"has {len(scored)}; the two are of different runs: run the experiment again"
            )
        return cells, model, [trait for trait in self.traits if trait in scored]

    def _of(self, table: pd.DataFrame) -> pd.DataFrame:
        return table[table["model"].isin(self.models)] if self.models else table


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A figure by name.

    Attributes
    ----------
    plates
        Makes it; empty where the folder does not hold its data.
    needs
        What it takes, to say what is missing.
    n_models
        How many models it can show at most; None: any number.
    """

    plates: Callable[[Selection], list[Plate]]
    needs: str
    n_models: int | None = None


def _scores(s: Selection) -> list[Plate]:
    scored = any(math.isfinite(row.mean) for row in s.rows)
    if not scored:
        return []
    drawn = resampling(s.folder.experiment).drawn
    return [plates.scores_plate(s.leaderboard, units=s.units, drawn=drawn, colours=s.colours)]


def _differences(s: Selection) -> list[Plate]:
    colour = s.colours.get(s.shown or "", BLUE)
    return plates.difference_plates(s.folder.comparison, answer=s.answer, colour=colour)


def _frontier(s: Selection) -> list[Plate]:
    return _one(plates.frontier_plate(s.leaderboard, colours=s.colours))


def _curves(s: Selection) -> list[Plate]:
    runs = tuple(run for run in s.folder.runs if not s.models or run.model in s.models)
    return _one(plates.curves_plate(runs, colours=s.colours))


def _density(s: Selection) -> list[Plate]:
    if s.cells is None:
        return []
    cells, model, traits = s.cells
    return [plates.density_plate(cells, model=model, traits=traits)]


def _missing(s: Selection) -> list[Plate]:
    if s.cells is None:
        return []
    cells, model, traits = s.cells
    return _one(plates.missing_plate(cells, model=model, traits=traits))


def _correlations(s: Selection) -> list[Plate]:
    if s.cells is None:
        return []
    return _one(plates.correlation_plate(s.cells[0], model=s.cells[1]))


def _calibration(s: Selection) -> list[Plate]:
    return _one(calibration_plate(s._of(s.folder.calibration), colours=s.colours))


def _scopes(s: Selection) -> list[Plate]:
    return _one(scope_plate(s._of(s.folder.single_vs_multi), colours=s.colours))


def _one(plate: Plate | None) -> list[Plate]:
    return [] if plate is None else [plate]


ENTRIES: Mapping[str, Entry] = {
    "scores": Entry(plates=_scores, needs="R² by trait in leaderboard.csv"),
    "differences": Entry(
        plates=_differences,
        needs="two ranked models of two or more traits in comparison.csv",
        n_models=2,
    ),
    "frontier": Entry(
        plates=_frontier, needs="two models with a mean R² and a training time in leaderboard.csv"
    ),
    "curves": Entry(
        plates=_curves,
        needs="a network trained by the settings of [train], with epochs in its history.csv",
    ),
    "observed-predicted": Entry(
        plates=_density, needs="a ranked model in predictions.parquet", n_models=1
    ),
    "missing": Entry(plates=_missing, needs="test samples without some trait", n_models=1),
    "correlations": Entry(
        plates=_correlations, needs="two or more traits in predictions.parquet", n_models=1
    ),
    "calibration": Entry(
        plates=_calibration, needs="a model with predictive intervals in calibration.csv"
    ),
    "scopes": Entry(
        plates=_scopes, needs='a model fitted both ways (scope = "both") in single_vs_multi.csv'
    ),
}
"""The report's figures, in its order."""

FIGURES = (*ARTICLE, *ENTRIES)
"""The names of all figures."""


def find_plate(
    name: str, *, folders: Path | str | Sequence[Path | str], models: Sequence[str] = ()
) -> Plate:
    """Find a figure of finished runs by its name.

    Parameters
    ----------
    name
        One of `FIGURES`: ``fig1`` to ``fig3`` are the article's, the others the report's.
    folders
        What ``crosstrait run`` left, or single runs; the article's figures may take their models
        from several.
    models
        Models to show; where empty all, or those of the article's figure.

    Returns
    -------
    Plate
        The figure with its caption, not drawn yet.

    Raises
    ------
    SettingsError
        If there is no figure or no model of that name.
    DataError
        If the folder does not hold what the figure shows.
    StorageError
        If a folder is no experiment's and no run's.
    """
    paths = [Path(folders)] if isinstance(folders, Path | str) else [Path(f) for f in folders]
    if name not in FIGURES:
        raise SettingsError(f"{unknown('figure', name, FIGURES)}; figures: {', '.join(FIGURES)}")
    if not paths:
        raise SettingsError(f"figure {name!r} needs the folder of an experiment or of a run")
    read = [RunFolder.read(path) for path in paths]
    if name in ARTICLE:
        return article_plate(name, read, models=models)
    if len(read) > 1:
        raise SettingsError(
            f"figure {name!r} is of one folder, whose models share their test cells; got "
            f"{len(read)}: {listed(paths)}"
        )
    chosen = tuple(dict.fromkeys(models))
    selection = Selection(folder=read[0], models=chosen)
    most = ENTRIES[name].n_models
    if most is not None and len(chosen) > most:
        raise SettingsError(
            f"figure {name!r} is of {'one model' if most == 1 else f'{most} models'}; got "
            f"{len(chosen)}: {listed(chosen)}; choose fewer"
        )
    found = ENTRIES[name].plates(selection)
    if not found:
        there = [other for other, entry in ENTRIES.items() if entry.plates(selection)]
        of = f" of {', '.join(models)}" if models else ""
        raise DataError(
            f"{paths[0]} holds no data{of} for figure {name!r}, which needs "
            f"{ENTRIES[name].needs}; it has those of: {', '.join(there) or 'none'}"
        )
    return found[0]
