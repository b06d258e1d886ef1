"""The files of a saved model: settings as JSON, history as CSV, arrays as safetensors, a card."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors import numpy as safetensors_numpy

from crosstrait.errors import StorageError, not_written
from crosstrait.files import beside

FORMAT = 1
CONFIG, WEIGHTS, HISTORY = "config.json", "model.safetensors", "history.csv"
CARD = "README.md"
"""For people, who may edit it: nothing is read from it."""

# The columns of history.csv and what they hold.
HISTORY_COLUMNS: Mapping[str, type] = {
    "epoch": int,
    "train_loss": float,
    "val_loss": float,
    "val_r2": float,
    "learning_rate": float,
    "seconds": float,
    "member": str,
}


def history_table(epochs: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return one row an epoch and member, with the columns of ``history.csv``."""
    return pd.DataFrame(
        {
            name: pd.Series(
                [kind("nan" if epoch[name] == "" else epoch[name]) for epoch in epochs], dtype=kind
            )
            for name, kind in HISTORY_COLUMNS.items()
        }
    )


def write_model(
    folder: Path,
    *,
    settings: Mapping[str, Any],
    arrays: Mapping[str, NDArray[Any]],
    history: pd.DataFrame,
    card: str,
) -> None:
    """Write the files of a model, each whole or not at all, the settings last.

    Raises
    ------
    StorageError
        If the folder cannot be written.
    """
    weights = safetensors_numpy.save({k: np.ascontiguousarray(v) for k, v in arrays.items()})
    digest = hashlib.sha256(weights).hexdigest()
    content = {"format": FORMAT, **settings, "weights_sha256": digest}
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / WEIGHTS, weights)
        _write(folder / HISTORY, history.to_csv(index=False).encode())
        _write(folder / CARD, card.encode())
        _write(folder / CONFIG, text.encode())
    except OSError as error:
        raise StorageError(
            f"the model could not be saved in {folder}: {not_written(error)}"
        ) from None


def read_model(folder: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]], pd.DataFrame]:
    """Return the settings, arrays and history that `write_model` wrote.

    Raises
    ------
    StorageError
        If files are missing, unreadable, or not of one model.
    """
    try:
        content = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        weights = (folder / WEIGHTS).read_bytes()
        if content["format"] != FORMAT:
            raise StorageError(
                f"{folder} holds a model of format {content['format']}, this version of "
                f"crosstrait reads format {FORMAT}"
            )
        if hashlib.sha256(weights).hexdigest() != content["weights_sha256"]:
            raise StorageError(
                f"{folder / WEIGHTS} is not the file that {CONFIG} was written with (their "
                f"SHA-256 differ); save the model again"
            )
        # Not pandas: it would take a trait called NA for a missing value.
        with (folder / HISTORY).open(newline="", encoding="utf-8") as lines:
            history = history_table(list(csv.DictReader(lines)))
        return content, safetensors_numpy.load(weights), history
    except FileNotFoundError as error:
        raise StorageError(f"there is no saved model in {folder}: no {error.filename}") from None
    except StorageError:
        raise
    except (OSError, ValueError, KeyError, TypeError, RecursionError, SafetensorError) as error:
        raise StorageError(f"{folder} holds no readable model: {error}") from None


def _write(path: Path, content: bytes) -> None:
    partial = beside(path)
    try:
        partial.write_bytes(content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
