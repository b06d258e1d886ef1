"""The experiment file: which data, which splits, which models, how they are trained."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from crosstrait.errors import SettingsError, StorageError, unknown
from crosstrait.experiments.changes import apply_changes
from crosstrait.experiments.engines.modal_table import ModalConfig
from crosstrait.experiments.engines.slurm_table import SlurmConfig
from crosstrait.experiments.model_tables import ModelEntry, attempt, read_models, trait_names
from crosstrait.experiments.tune_table import TuneConfig
from crosstrait.panel.catalogue import CATALOGUE
from crosstrait.settings import Settings
from crosstrait.split.config import SplitConfig
from crosstrait.training.config import TrainConfig

_TABLES = ("data", "split", "train", "tune", "slurm", "modal", "model")


class DataConfig(Settings):
    """The ``[data]`` table.

    Attributes
    ----------
    panel
        A name of the registry or a path; in a file, relative to the file's folder.
    traits
        Names of the traits to predict, or ``"all"``, which becomes None.
    prune_r
        Drop loci whose absolute correlation with a kept one exceeds this, in (0, 1); learned on
        the training samples of each split. None keeps every locus.
    """

    panel: str
    traits: tuple[str, ...] | None = None
    prune_r: float | None = Field(default=None, gt=0, lt=1)

    _all_is_none = field_validator("traits", mode="before")(trait_names)


class TrainTable(TrainConfig):
    """The ``[train]`` table: replicates, and training settings for every network.

    Attributes
    ----------
    replicates
        Trainings of each network on each split, with the seeds ``seed``, ``seed + 1``, ...
    seed
        Of the first replicate.
    threads
        CPU threads of each training. With the same number the results are the same to the last
        bit, whatever the number of workers, the engine and the cores of the machine.
    """

    replicates: int = Field(default=1, ge=1)
    threads: int = Field(default=1, ge=1)
    seed: int = Field(default=0, ge=0)


class Experiment(Settings):
    """An experiment file, checked and resolved.

    Attributes
    ----------
    name
        The file's name without its ending.
    data, split
        The tables of the same names.
    replicates, seed, threads
        From ``[train]``.
    models
        The ``[[model]]`` tables, in order.
    tune
        The ``[tune]`` table; None where every model keeps the settings of the file.
    slurm, modal
        The tables of the same names: what a cluster is asked for; they change no result.
    """

    name: str
    data: DataConfig
    split: SplitConfig
    replicates: int
    seed: int
    models: tuple[ModelEntry, ...]
    tune: TuneConfig | None = None
    threads: int = 1
    slurm: SlurmConfig = Field(default=SlurmConfig(), exclude=True)
    modal: ModalConfig = Field(default=ModalConfig(), exclude=True)


def read_experiment(path: Path, *, changes: Sequence[str] = (), tune: bool = False) -> Experiment:
    """Read an experiment file.

    Parameters
    ----------
    path
        A TOML file; relative paths in it are relative to its folder.
    changes
        ``key=value`` with dotted keys, as ``--set`` of the command line takes them.
    tune
        Whether to tune the models even if there is no ``[tune]`` table.

    Raises
    ------
    StorageError
        If the file cannot be read.
    SettingsError
        If it is no TOML, or any setting is unknown or unusable: all of them at once.
    """
    try:
        text = path.read_bytes().decode()
    except OSError as error:
        reason = error.strerror or error
        raise StorageError(f"cannot read the experiment file {path}: {reason}") from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not UTF-8 text: byte {error.start} is not") from None
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not valid TOML: {error}") from None
    values = apply_changes(values, changes=changes)
    if tune:
        values.setdefault("tune", {})
    where = f"{path} with --set {' --set '.join(changes)}" if changes else str(path)
    return parse_experiment(values, name=path.stem, folder=path.parent, where=where)


def parse_experiment(
    values: Mapping[str, Any], *, name: str, folder: Path, where: str
) -> Experiment:
    """Check the tables of an experiment.

    Parameters
    ----------
    values
        Tables by name, as TOML gives them.
    name
        What to call the experiment.
    folder
        What relative paths are relative to.
    where
        What to call the place in messages.

    Raises
    ------
    SettingsError
        Once for all problems, each with its table and the nearest known spelling.
    """
    problems = [unknown("table", key, _TABLES) for key in values if key not in _TABLES]
    tables: dict[str, Mapping[str, Any]] = {}
    for key in ("data", "split", "train", "tune", "slurm", "modal"):
        table = values.get(key, {})
        if not isinstance(table, Mapping):
            problems.append(f"[{key}] must be a table; got {key} = {table!r}")
            table = {}
        tables[key] = table
    if "data" not in values:
        problems.append("the table [data] is required, with at least panel = ...")
    data = attempt(problems, DataConfig, tables["data"], "[data]") if "data" in values else None
    split = attempt(problems, SplitConfig, tables["split"], "[split]")
    train = attempt(problems, TrainTable, tables["train"], "[train]")
    tune = attempt(problems, TuneConfig, tables["tune"], "[tune]") if "tune" in values else None
    slurm = attempt(problems, SlurmConfig, tables["slurm"], "[slurm]")
    modal = attempt(problems, ModalConfig, tables["modal"], "[modal]")
    shared = {
        key: value
        for key, value in tables["train"].items()
        if key not in ("replicates", "seed", "threads")
    }
    models = read_models(problems, values.get("model", []), shared=shared if train else {})
    if problems or not (data and split and train and slurm and modal):
        raise SettingsError(f"{where}: {'; '.join(problems)}")
    if split.path is not None:
        split = split.model_copy(update={"path": folder / split.path})
    data = data.model_copy(update={"panel": _beside(folder, data.panel)})
    return Experiment(
        name=name,
        data=data,
        split=split,
        replicates=train.replicates,
        threads=train.threads,
        seed=train.seed,
        models=tuple(models),
        tune=tune,
        slurm=slurm,
        modal=modal,
    )


def _beside(folder: Path, panel: str) -> str:
    """Resolve a path against the experiment's folder; a name of the registry stays a name."""
    named = any(entry.name == panel for entry in CATALOGUE)
    # A bare word that is no file is left to load_panel, which knows the nearest name.
    looks_like_path = bool(Path(panel).suffix) or len(Path(panel).parts) > 1
    if not named and (looks_like_path or (folder / panel).exists()):
        return str(folder / panel)
    return panel
