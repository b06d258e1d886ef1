"""The experiment file: which data, which splits, which models, how they are trained."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, SerializeAsAny, field_validator

from crosstrait.errors import SettingsError, StorageError, unknown
from crosstrait.experiments.changes import apply_changes
from crosstrait.experiments.resolve import is_network, resolve_training
from crosstrait.models.base import ModelConfig
from crosstrait.models.registry import config_class, parse_model
from crosstrait.panel.catalogue import CATALOGUE
from crosstrait.settings import Settings
from crosstrait.split.config import SplitConfig
from crosstrait.training.config import TrainConfig

_TABLES = ("data", "split", "train", "model")
_MODEL_KEYS = ("type", "name", "traits", "train")
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def _trait_names(value: Any) -> Any:
    if value == "all":
        return None
    if isinstance(value, str) or value == []:
        raise ValueError('give a list of trait names, or "all"')
    if isinstance(value, list) and len(set(map(str, value))) < len(value):
        raise ValueError("a trait is named twice")
    return value


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

    _all_is_none = field_validator("traits", mode="before")(_trait_names)


class TrainTable(TrainConfig):
    """The ``[train]`` table: replicates, and training settings for every network.

    Attributes
    ----------
    replicates
        Trainings of each network on each split, with the seeds ``seed``, ``seed + 1``, ...
    seed
        Of the first replicate.
    """

    replicates: int = Field(default=1, ge=1)
    seed: int = Field(default=0, ge=0)


class ModelEntry(Settings):
    """One ``[[model]]`` table, resolved.

    Attributes
    ----------
    label
        What the model is called in every table: its ``name``, or else its ``type``.
    config
        The model's own settings.
    train
        Everything about its training: the model's defaults, overridden by ``[train]``,
        overridden by ``[model.train]``.
    traits
        The traits it is fitted on; None for all of the experiment.
    """

    label: str
    config: SerializeAsAny[ModelConfig]
    train: TrainConfig
    traits: tuple[str, ...] | None = None


class Experiment(Settings):
    """An experiment file, checked and resolved.

    Attributes
    ----------
    name
        The file's name without its ending.
    data, split
        The tables of the same names.
    replicates, seed
        From ``[train]``.
    models
        The ``[[model]]`` tables, in order.
    """

    name: str
    data: DataConfig
    split: SplitConfig
    replicates: int
    seed: int
    models: tuple[ModelEntry, ...]


def read_experiment(path: Path, *, changes: Sequence[str] = ()) -> Experiment:
    """Read an experiment file.

    Parameters
    ----------
    path
        A TOML file; relative paths in it are relative to its folder.
    changes
        ``key=value`` with dotted keys, as ``--set`` of the command line takes them.

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
    for key in ("data", "split", "train"):
        table = values.get(key, {})
        if not isinstance(table, Mapping):
            problems.append(f"[{key}] must be a table; got {key} = {table!r}")
            table = {}
        tables[key] = table
    if "data" not in values:
        problems.append("the table [data] is required, with at least panel = ...")
    data = _try(problems, DataConfig, tables["data"], "[data]") if "data" in values else None
    split = _try(problems, SplitConfig, tables["split"], "[split]")
    train = _try(problems, TrainTable, tables["train"], "[train]")
    shared = {
        key: value for key, value in tables["train"].items() if key not in ("replicates", "seed")
    }
    models = _models(problems, values.get("model", []), shared=shared if train else {})
    if problems or data is None or split is None or train is None:
        raise SettingsError(f"{where}: {'; '.join(problems)}")
    if split.path is not None:
        split = split.model_copy(update={"path": folder / split.path})
    data = data.model_copy(update={"panel": _beside(folder, data.panel)})
    return Experiment(
        name=name,
        data=data,
        split=split,
        replicates=train.replicates,
        seed=train.seed,
        models=tuple(models),
    )


def _beside(folder: Path, panel: str) -> str:
    """Resolve a path against the experiment's folder; a name of the registry stays a name."""
    named = any(entry.name == panel for entry in CATALOGUE)
    # A bare word that is no file is left to load_panel, which knows the nearest name.
    looks_like_path = bool(Path(panel).suffix) or len(Path(panel).parts) > 1
    if not named and (looks_like_path or (folder / panel).exists()):
        return str(folder / panel)
    return panel


def _try(problems: list[str], kind: type[Any], values: Mapping[str, Any], where: str) -> Any:
    try:
        return kind.parse(values, where=where)
    except SettingsError as error:
        problems.append(str(error))
        return None


def _models(problems: list[str], tables: Any, *, shared: Mapping[str, Any]) -> list[ModelEntry]:
    if isinstance(tables, Mapping) or not isinstance(tables, list):
        problems.append("models are given as [[model]] tables, in double brackets")
        return []
    if not tables:
        problems.append("an experiment needs at least one [[model]] table")
    entries: list[ModelEntry] = []
    for number, table in enumerate(tables, start=1):
        if not isinstance(table, Mapping):
            problems.append(f"[[model]] {number} must be a table; got {table!r}")
            continue
        where = f"[[model]] {number} ({table.get('name', table.get('type', '?'))})"
        try:
            entries.append(_model(table, shared=shared, where=where))
        except SettingsError as error:
            problems.append(str(error))
    protocols = {entry.label: entry.train.protocol for entry in entries}
    if len(set(protocols.values())) > 1:
        problems.append(
            f"models are compared under one protocol; got {protocols}: set it in [train] only"
        )
    elif "complete-cases" in protocols.values() and any(entry.traits for entry in entries):
        problems.append(
            "with protocol = 'complete-cases' the traits of a model decide its test samples; give "
            "traits in [data] only, so that all models are scored on the same"
        )
    labels = [entry.label for entry in entries]
    for label in sorted({label for label in labels if labels.count(label) > 1}):
        problems.append(
            f"{labels.count(label)} [[model]] tables are called {label!r}; "
            f'give each its own name = "..."'
        )
    return entries


def _model(table: Mapping[str, Any], *, shared: Mapping[str, Any], where: str) -> ModelEntry:
    problems: list[str] = []
    settings = {key: value for key, value in table.items() if key not in _MODEL_KEYS[1:]}
    label = table.get("name", table.get("type"))
    if "name" in table and not (isinstance(label, str) and _LABEL.fullmatch(label)):
        problems.append(
            f"name = {label!r}: may hold letters, digits, '.', '_' and '-' and starts with a "
            f"letter or digit, as it names folders"
        )
    try:
        traits = _trait_names(table.get("traits", "all"))
    except ValueError as error:
        problems.append(f"traits = {table['traits']!r}: {error}")
    own = table.get("train", {})
    if not isinstance(own, Mapping):
        problems.append(f"train must be a table [model.train]; got {own!r}")
        own = {}
    config = None
    try:
        config = parse_model(_only_known(settings, problems), where=where)
    except SettingsError as error:
        problems.append(str(error).removeprefix(f"{where}: "))
    if config is None:
        _try(problems, TrainConfig, own, "[model.train]")
    else:
        try:
            _refuse_unread(config, own)
            train = resolve_training(config, shared, own, where="[model.train]")
        except SettingsError as error:
            problems.append(str(error))
    if problems or config is None:
        raise SettingsError(f"{where}: {'; '.join(problems)}")
    return ModelEntry(label=str(label), config=config, train=train, traits=traits)


def _only_known(settings: Mapping[str, Any], problems: list[str]) -> dict[str, Any]:
    """Drop unknown settings, each with a problem that also offers this table's own keys."""
    if not isinstance(settings.get("type"), str):
        return dict(settings)
    known = {*config_class(settings["type"]).model_fields, *_MODEL_KEYS}
    problems.extend(unknown("setting", key, sorted(known)) for key in settings if key not in known)
    return {key: value for key, value in settings.items() if key in known}


def _refuse_unread(config: ModelConfig, own: Mapping[str, Any]) -> None:
    if is_network(config):
        return
    unread = sorted(set(own) - {"protocol"})
    if unread:
        raise SettingsError(
            f"[model.train]: {config.type} fits itself and reads no training setting but "
            f"'protocol'; remove {', '.join(unread)}"
        )
