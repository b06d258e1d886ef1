"""The history of a run while it trains: the ``history.csv`` to come, a row an epoch.

It lies beside the checkpoints, ``runs/.work/<group>/<model>-<key8>.history.csv``, and is gone when
the finished run has its own.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

from crosstrait.experiments.plan import Run
from crosstrait.experiments.storage import make_folder, storage_errors, write_text
from crosstrait.training.model_files import HISTORY_COLUMNS
from crosstrait.training.progress import EpochDone

_SUFFIX = ".history.csv"


def growing_name(run: Run) -> str:
    """Return the name of the file while ``run`` trains."""
    return f"{run.label}-{run.key[:8]}{_SUFFIX}"


class GrowingHistory:
    """Progress of some runs, written to their files as it is told.

    A training that goes on from a checkpoint may repeat epochs: theirs and later rows make way.

    Parameters
    ----------
    folder
        Where the checkpoints are.
    runs
        Runs that differ in their seeds alone.
    """

    def __init__(self, folder: Path, runs: Sequence[Run]) -> None:
        self._paths = {run.seed: folder / growing_name(run) for run in runs}
        self._last: dict[tuple[int, str], int] = {}
        for seed, path in self._paths.items():
            if not path.is_file():
                continue
            rows = read_history(path)
            self._write(seed, rows)  # without a line that was being written when the process died
            for row in rows:
                self._last[seed, row["member"]] = int(row["epoch"])

    def add(self, done: EpochDone) -> None:
        """Write the row of an epoch."""
        path = self._paths[done.seed]
        if not path.is_file():
            make_folder(path.parent)
            self._write(done.seed, [])
        elif done.epoch <= self._last.get((done.seed, done.member), 0):
            kept = [
                row
                for row in read_history(path)
                if row["member"] != done.member or int(row["epoch"]) < done.epoch
            ]
            self._write(done.seed, kept)
        with storage_errors(path), path.open("a", newline="", encoding="utf-8") as lines:
            _writer(lines).writerow({name: _text(getattr(done, name)) for name in HISTORY_COLUMNS})
        self._last[done.seed, done.member] = done.epoch

    def _write(self, seed: int, rows: Sequence[Mapping[str, str]]) -> None:
        lines = io.StringIO()
        _writer(lines).writeheader()
        _writer(lines).writerows(rows)
        write_text(self._paths[seed], lines.getvalue())


def read_history(path: Path) -> list[dict[str, str]]:
    """Return the rows of a ``history.csv``, finished or growing, but for a line not whole yet.

    A power cut may leave zeros where lines should be: they and what follows are no rows.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    text = text.partition("\0")[0]
    return list(csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1])))


def _writer(lines: TextIO) -> csv.DictWriter[str]:
    return csv.DictWriter(lines, list(HISTORY_COLUMNS), lineterminator="\n")


def _text(value: float | str) -> str:
    return "" if isinstance(value, float) and math.isnan(value) else str(value)
