"""One file that holds everything a training needs to go on, replaced whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from crosstrait.errors import StorageError
from crosstrait.training.held_back import signals_held_back

FORMAT = "crosstrait checkpoint 1"


@dataclass(frozen=True, kw_only=True, eq=False)
class State:
    """What training looks like between two steps: tensors by name, the rest as JSON values."""

    tensors: Mapping[str, torch.Tensor]
    values: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class CheckpointFile:
    """The checkpoint of one training, in the folder that was given for it.

    Attributes
    ----------
    folder
        Where the file is.
    key
        Digest of everything that decides the numbers; a checkpoint with another key is not ours.
    """

    folder: Path
    key: str

    @property
    def path(self) -> Path:
        """The file, named by its key so that the trainings of one folder keep apart."""
        return self.folder / f"checkpoint-{self.key[:12]}.safetensors"

    def save(self, state: State) -> None:
        """Write beside, check, then replace the previous checkpoint in one step.

        Raises
        ------
        StorageError
            If the folder cannot be written or is full; the previous checkpoint stays.
        """
        beside = self.path.with_suffix(".partial")
        header = {"format": FORMAT, "key": self.key, "values": json.dumps(state.values)}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with signals_held_back():
                save_file(dict(state.tensors), beside, metadata=header)
            _to_disk(beside)
            if self._read(beside) is None:
                raise OSError("what was written cannot be read back")
            beside.replace(self.path)
            _to_disk(self.folder)
        except (OSError, SafetensorError) as error:
            raise StorageError(
                f"the checkpoint {self.path} could not be written: {error}; free some space or "
                f"choose another folder; the same command goes on from the previous checkpoint"
            ) from None
        finally:
            with suppress(OSError):
                beside.unlink(missing_ok=True)

    def load(self) -> State | None:
        """Return the state that was saved, or None if there is none to go on from."""
        return self._read(self.path) if self.path.is_file() else None

    def _read(self, path: Path) -> State | None:
        try:
            # Ctrl-C inside of safetensors would come out as some other error.
            with signals_held_back(), safe_open(path, framework="pt") as opened:
                header = opened.metadata() or {}
                if header.get("format") != FORMAT or header.get("key") != self.key:
                    return None
                # Copies, so that no tensor depends on a file that is about to be replaced.
                tensors = {name: opened.get_tensor(name).clone() for name in opened.keys()}  # noqa: SIM118
                return State(tensors=tensors, values=json.loads(header["values"]))
        except (OSError, SafetensorError, KeyError, json.JSONDecodeError):
            return None


def under(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the tensors whose names start with ``prefix``, without it."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def remove_checkpoints(folder: Path) -> None:
    """Delete the checkpoints in ``folder``, whose training is done and saved."""
    for path in folder.glob("checkpoint-*.safetensors"):
        path.unlink()
    for path in folder.glob("checkpoint-*.partial"):
        path.unlink()


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
