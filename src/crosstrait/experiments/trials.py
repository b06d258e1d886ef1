"""The trials of a search as files, each written whole, so that a killed search goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from crosstrait.experiments.storage import make_folder, write_json


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One try of some settings.

    Attributes
    ----------
    settings
        Values by name, as the search space names them.
    score
        The mean over inner splits, higher is better; None where training failed.
    seconds
        What it took.
    message
        Why training failed.
    """

    settings: Mapping[str, Any]
    score: float | None
    seconds: float
    message: str = ""


def read_trials(folder: Path) -> list[Trial]:
    """Return the trials in ``folder`` up to the first that is missing or damaged."""
    trials: list[Trial] = []
    while True:
        try:
            values = json.loads(_path(folder, len(trials)).read_text(encoding="utf-8"))
            trials.append(Trial(**values))
        except (OSError, ValueError, TypeError):
            return trials


def write_trial(folder: Path, number: int, trial: Trial) -> None:
    """Write a trial, in one step."""
    make_folder(folder)
    write_json(_path(folder, number), asdict(trial))


def best_of(trials: list[Trial]) -> Trial | None:
    """Return the first trial with the highest score; None where none has a score."""
    scored = [(trial.score, trial) for trial in trials if trial.score is not None]
    return max(scored, key=lambda pair: pair[0])[1] if scored else None


def _path(folder: Path, number: int) -> Path:
    return folder / f"trial-{number:04d}.json"
