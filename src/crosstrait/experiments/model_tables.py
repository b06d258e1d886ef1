"""The ``[[model]]`` tables of an experiment file."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import SerializeAsAny

from crosstrait.errors import SettingsError, listed, nearest, unknown
from crosstrait.experiments.resolve import resolve_training
from crosstrait.models.base import ModelConfig
from crosstrait.models.registry import config_class, parse_model
from crosstrait.settings import Settings, other_name, unknown_setting
from crosstrait.training.config import TrainConfig

_MODEL_KEYS = ("type", "name", "traits", "scope", "tune", "train")
_SCOPES = ("multi", "single", "both")
SINGLE = "-single"
"""What ends the label of the single-trait version of a model with ``scope = "both"``."""

# Where a network trains, and what a file may state for models of any kind.
_NO_RESULT = ("device", "devices", "precision", "protocol", "scope")

_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class UnreadSettingWarning(UserWarning):
    """A training setting stands in an experiment file none of whose models reads it."""


class ModelEntry(Settings):
    """One ``[[model]]`` table, resolved.

    Attributes
    ----------
    label
        What the model is called in every table: its ``name``, or else its ``type``; with
        ``scope = "both"`` the single-trait version has `SINGLE` after it.
    config
        The model's own settings.
    train
        Everything about its training: the model's defaults, overridden by ``[train]``,
        overridden by ``[model.train]``.
    traits
        The traits it is fitted on; None for all of the experiment.
    tune
        Whether a tuned experiment searches its settings.
    fixed
        Settings that the file gives and a search leaves alone; those of training start with
        ``train.``.
    """

    label: str
    config: SerializeAsAny[ModelConfig]
    train: TrainConfig
    traits: tuple[str, ...] | None = None
    tune: bool = True
    fixed: tuple[str, ...] = ()


def read_models(problems: list[str], tables: Any, *, shared: Mapping[str, Any]) -> list[ModelEntry]:
    """Return the models of ``tables``, and add what is wrong with them to ``problems``.

    ``shared`` holds the training settings of ``[train]``.
    """
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
            entries += _both_scopes(table, shared=shared, where=where)
        except SettingsError as error:
            problems.append(str(error))
    protocols = {entry.label: entry.train.protocol for entry in entries}
    if "complete-cases" in protocols.values() and len(set(protocols.values())) > 1:
        problems.append(
            f"models are compared on the same cells; got {protocols}: set 'complete-cases' in "
            f"[train] for all, or 'complete-training' for those that learn from whole samples"
        )
    elif "complete-cases" in protocols.values() and any(entry.traits for entry in entries):
        problems.append(
            "with protocol = 'complete-cases' the traits of a model decide its test samples; give "
            "traits in [data] only, so that all models are scored on the same"
        )
    _warn_of_unread(entries, shared)
    labels = [entry.label for entry in entries]
    for label in sorted({label for label in labels if labels.count(label) > 1}):
        problems.append(
            f"{labels.count(label)} [[model]] tables are called {label!r}; "
            f'give each its own name = "..."'
        )
    return entries


def scope_pairs(models: Iterable[ModelEntry]) -> list[tuple[str, str]]:
    """Return the labels of models on all traits together and of the same, one trait at a time."""
    entries = list(models)
    return [
        (multi.label, single.label)
        for multi in entries
        for single in entries
        if (multi.train.scope, single.train.scope) == ("multi", "single")
        and multi.config == single.config
        and (multi.traits is None or {*(single.traits or ())} & {*multi.traits})
        and multi.train.model_copy(update={"scope": "single"}) == single.train
    ]


def _both_scopes(
    table: Mapping[str, Any], *, shared: Mapping[str, Any], where: str
) -> list[ModelEntry]:
    """Return the model that a table describes; two of them with ``scope = "both"``."""
    scope = table.get("scope", shared.get("scope", "multi"))
    if scope not in _SCOPES:
        raise SettingsError(f"{where}: {unknown('scope', str(scope), _SCOPES)}")
    if scope != "both":
        return [_model(table, shared={**shared, "scope": scope}, where=where)]
    multi, single = (
        _model(table, shared={**shared, "scope": each}, where=where) for each in ("multi", "single")
    )
    return [multi, single.model_copy(update={"label": single.label + SINGLE})]


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
        traits = trait_names(table.get("traits", "all"))
    except ValueError as error:
        problems.append(f"traits = {table['traits']!r}: {error}")
    tune = table.get("tune", True)
    if not isinstance(tune, bool):
        problems.append(f"tune = {tune!r}: true or false, whether --tune searches its settings")
    own = table.get("train", {})
    if not isinstance(own, Mapping):
        problems.append(f"train must be a table [model.train]; got {own!r}")
        own = {}
    if "scope" in own:
        problems.append("[model.train]: scope is a setting of [[model]] itself; move it there")
    config = None
    try:
        config = parse_model(_only_known(settings, problems), where=where)
    except SettingsError as error:
        problems.append(str(error).removeprefix(f"{where}: "))
    if config is None:
        attempt(problems, TrainConfig, own, "[model.train]")
    else:
        try:
            _refuse_unread(config, own)
            train = resolve_training(config, shared, own, where="[model.train]")
        except SettingsError as error:
            problems.append(str(error))
    if problems or config is None:
        raise SettingsError(f"{where}: {'; '.join(problems)}")
    return ModelEntry(
        label=str(label),
        config=config,
        train=train,
        traits=traits,
        tune=tune,
        fixed=(
            *(key for key in settings if key != "type"),
            *(f"train.{key}" for key in {**shared, **own}),
        ),
    )


def _only_known(settings: Mapping[str, Any], problems: list[str]) -> dict[str, Any]:
    """Drop unknown settings, each with a problem that also offers this table's own keys."""
    if not isinstance(settings.get("type"), str):
        return dict(settings)
    kind = config_class(settings["type"])
    known = {*kind.model_fields, *_MODEL_KEYS}
    for key in (key for key in settings if key not in known):
        of_training = nearest(key, TrainConfig.model_fields)
        of_training = other_name(key, TrainConfig.model_fields) or of_training
        own = other_name(key, known) or nearest(key, known)
        if kind.network and of_training and not own:
            problems.append(f"unknown setting {key!r} (did you mean {of_training!r} of [train]?)")
        else:
            problems.append(unknown_setting(key, sorted(known)))
    return {key: value for key, value in settings.items() if key in known}


def _refuse_unread(config: ModelConfig, own: Mapping[str, Any]) -> None:
    if config.network:
        return
    unread = sorted(set(own) - {"protocol"})
    if unread:
        raise SettingsError(
            f"[model.train]: {config.type} fits itself and reads no training setting but "
            f"'protocol'; remove {', '.join(unread)}"
        )


def _warn_of_unread(entries: list[ModelEntry], shared: Mapping[str, Any]) -> None:
    unread = sorted(set(shared) - set(_NO_RESULT))
    if not entries or not unread or any(entry.config.network for entry in entries):
        return
    own = [
        f"{entry.label} has {ours} of its own, under [[model]]"
        for entry in entries
        for key in unread
        for ours in [other_name(key, type(entry.config).model_fields) or key]
        if ours in type(entry.config).model_fields
    ]
    text = (
        f"[train]: {', '.join(unread)} has no effect, as only networks that train under [train] "
        f"read it and the file has none ({listed(entry.label for entry in entries)})"
    )
    warnings.warn("; ".join([text, *dict.fromkeys(own)]), UnreadSettingWarning, stacklevel=3)


def trait_names(value: Any) -> Any:
    """Check the setting ``traits``; "all" becomes None."""
    if value == "all":
        return None
    if isinstance(value, str) or value == []:
        raise ValueError('give a list of trait names, or "all"')
    if isinstance(value, list) and len(set(map(str, value))) < len(value):
        raise ValueError("a trait is named twice")
    return value


def attempt(problems: list[str], kind: type[Any], values: Mapping[str, Any], where: str) -> Any:
    """Return the settings, or None after adding to ``problems`` what is wrong with them."""
    try:
        return kind.parse(values, where=where)
    except SettingsError as error:
        problems.append(str(error))
        return None
