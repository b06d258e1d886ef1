"""Reading what ``crosstrait run`` left in a folder; what is absent stays absent."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from crosstrait.errors import DataError, StorageError
from crosstrait.evaluation.calibration import CALIBRATION_COLUMNS
from crosstrait.evaluation.ceiling import NOISE_COLUMNS
from crosstrait.evaluation.cells import read_cells
from crosstrait.evaluation.comparison import COMPARISON_COLUMNS
from crosstrait.evaluation.leaderboard import LEADERBOARD_COLUMNS, leaderboard
from crosstrait.evaluation.scores import score
from crosstrait.evaluation.single_vs_multi import SINGLE_VS_MULTI_COLUMNS
from crosstrait.experiments.assemble import PREDICTIONS
from crosstrait.experiments.cache import is_finished
from crosstrait.experiments.run import CELLS

HISTORY_COLUMNS = ("epoch", "train_loss", "val_loss", "member")

_NAMES = ("model", "other", "single", "source", "trait", "metric", "member")


@dataclass(frozen=True, kw_only=True, eq=False)
class RunRecord:
    """One finished training.

    Attributes
    ----------
    model, replicate, fold, seed
        Its place in the experiment; the seed of an imported model is not known.
    key
        Its run key, hexadecimal.
    train_seconds
        NaN where it was not noted.
    metrics
        ``metrics.csv``: name -> value.
    history
        ``history.csv``, a row an epoch and member; empty for models without epochs.
    """

    model: str
    replicate: int
    fold: int
    seed: int | None
    key: str
    train_seconds: float
    metrics: Mapping[str, float]
    history: pd.DataFrame


@dataclass(frozen=True, kw_only=True, eq=False)
class RunFolder:
    """The files of an experiment; the large ones are read when they are asked for.

    Attributes
    ----------
    leaderboard, comparison
        The tables of scores and of paired differences; the latter may be empty, and the former
        of a run that was scored on nothing.
    experiment
        ``experiment.json``; empty where the file is not there. Of one run, what it says itself.
    """

    path: Path
    leaderboard: pd.DataFrame
    comparison: pd.DataFrame
    experiment: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path) -> RunFolder:
        """Read the folder of an experiment, or that of one finished run.

        Raises
        ------
        StorageError
            If it has no ``leaderboard.csv`` and is no finished run.
        DataError
            If a file does not hold what its name says.
        """
        if is_finished(path):
            return cls._of_run(path)
        leaderboard = _read_table(path / "leaderboard.csv", LEADERBOARD_COLUMNS)
        if leaderboard is None:
            raise StorageError(
                f"{path} holds no leaderboard.csv; a report is made of a folder that "
                f"'crosstrait run' wrote"
            )
        if leaderboard.empty:
            raise DataError(f"{path / 'leaderboard.csv'} has no rows; there is nothing to report")
        comparison = _read_table(path / "comparison.csv", COMPARISON_COLUMNS)
        if comparison is None:
            comparison = pd.DataFrame(columns=list(COMPARISON_COLUMNS))
        return cls(
            path=path,
            leaderboard=leaderboard,
            comparison=comparison,
            experiment=_read_json(path / "experiment.json"),
        )

    @classmethod
    def _of_run(cls, path: Path) -> RunFolder:
        """Score the run alone; without test cells, as of an imported model, it has no score."""
        about, config = _read_json(path / "provenance.json"), _read_json(path / "config.json")
        label, train = about.get("label", path.name), config.get("train", {})
        cells = read_cells(path / CELLS)
        table = pd.DataFrame(columns=list(LEADERBOARD_COLUMNS))
        if len(cells):
            costs = cells[["model", "replicate", "fold"]].drop_duplicates()
            costs["train_seconds"] = _seconds(about)
            table = leaderboard(score(cells), costs=costs)
        settings = {
            "name": path.resolve().name,
            "model": config.get("model", {}),
            "train": train,
            "traits": ", ".join(config.get("trait_names", [])),
            "checkpoint": about.get("checkpoint"),
        }
        run = {"model": label, "replicate": 0, "fold": 0, **about, "folder": "."}
        return cls(
            path=path,
            leaderboard=table,
            comparison=pd.DataFrame(columns=list(COMPARISON_COLUMNS)),
            experiment={
                "experiment": settings,
                "protocol": train.get("protocol") if len(cells) else None,
                "command": about.get("command"),
                "written": about.get("finished"),
                "runs": [run],
                "versions": about.get("versions", {}),
                "machine": about.get("machine", {}),
            },
        )

    @cached_property
    def single_vs_multi(self) -> pd.DataFrame:
        """What learning across traits gains; empty where no model was fitted both ways."""
        return self._table("single_vs_multi.csv", SINGLE_VS_MULTI_COLUMNS)

    @cached_property
    def calibration(self) -> pd.DataFrame:
        """The coverage of predictive intervals; empty where no model has any."""
        return self._table("calibration.csv", CALIBRATION_COLUMNS)

    @cached_property
    def noise(self) -> pd.DataFrame:
        """The noise by trait and source; empty where none is known."""
        return self._table("noise.csv", NOISE_COLUMNS)

    def _table(self, name: str, columns: tuple[str, ...]) -> pd.DataFrame:
        table = _read_table(self.path / name, columns)
        return pd.DataFrame(columns=list(columns)) if table is None else table

    @cached_property
    def cells(self) -> pd.DataFrame | None:
        """The predictions, None where the file is not there."""
        for name in (PREDICTIONS, CELLS):
            if (self.path / name).is_file():
                return read_cells(self.path / name)
        return None

    @cached_property
    def runs(self) -> tuple[RunRecord, ...]:
        """The finished trainings that ``experiment.json`` lists."""
        return tuple(_read_run(self.path, run) for run in self.experiment.get("runs", []))


def _read_table(path: Path, columns: tuple[str, ...]) -> pd.DataFrame | None:
    if not path.is_file():
        return None
    try:
        # Names such as "NA" or "4E5" are names, so only numbers may be read as missing.
        table = pd.read_csv(
            path,
            dtype=dict.fromkeys(_NAMES, str),
            keep_default_na=False,
            na_values={name: [""] for name in columns if name not in _NAMES},
        )
    except (ValueError, OSError) as error:
        raise DataError(f"cannot read {path}: {error}") from None
    absent = [name for name in columns if name not in table.columns]
    if absent:
        raise DataError(f"{path} lacks the columns {', '.join(absent)}")
    return table


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise DataError(f"cannot read {path}: {error}") from None
    if not isinstance(content, dict):
        raise DataError(f"{path} must hold a JSON object; got {type(content).__name__}")
    return content


def _read_run(path: Path, run: Mapping[str, Any]) -> RunRecord:
    folder = path / str(run["folder"])
    about = _read_json(folder / "provenance.json")
    return RunRecord(
        model=str(run["model"]),
        replicate=int(run["replicate"]),
        fold=int(run["fold"]),
        seed=run.get("seed"),
        key=str(run["key"]),
        train_seconds=_seconds(about),
        metrics=_read_metrics(folder / "metrics.csv"),
        history=_read_history(folder / "history.csv"),
    )


def _seconds(about: Mapping[str, Any]) -> float:
    seconds = about.get("train_seconds")
    return math.nan if seconds is None else float(seconds)


def _read_metrics(path: Path) -> dict[str, float]:
    table = _read_table(path, ("metric", "value"))
    if table is None:
        return {}
    return {str(name): float(v) for name, v in zip(table["metric"], table["value"], strict=True)}


def _read_history(path: Path) -> pd.DataFrame:
    table = _read_table(path, HISTORY_COLUMNS)
    return pd.DataFrame(columns=list(HISTORY_COLUMNS)) if table is None else table
