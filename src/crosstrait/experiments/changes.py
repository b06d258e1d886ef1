"""Changes to an experiment from the command line: ``--set train.max_epochs=5``."""

from __future__ import annotations

import copy
import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from crosstrait.errors import SettingsError, unknown

_BARE_WORD = re.compile(r"[A-Za-z_./][\w./:+-]*")


def apply_changes(values: Mapping[str, Any], *, changes: Sequence[str]) -> dict[str, Any]:
    """Return the tables with each change made, later ones winning.

    Parameters
    ----------
    values
        The tables of an experiment file.
    changes
        ``key=value``. The key is dotted; a ``[[model]]`` table is named by its place from 0
        or by its label, as in ``model.0.train.max_epochs=5`` or ``model.ridge.name=blup``.
        The value is TOML; a bare word is taken as text, so that no quotes need to pass the shell.

    Raises
    ------
    SettingsError
        If a change is no ``key=value`` or its key leads nowhere.

    Examples
    --------
    >>> apply_changes({"train": {"seed": 0}}, changes=["train.seed=3", "data.panel=byxrm"])
    {'train': {'seed': 3}, 'data': {'panel': 'byxrm'}}
    """
    changed = copy.deepcopy(dict(values))
    for change in changes:
        key, equals, text = change.partition("=")
        path = [part.strip() for part in key.split(".")]
        if not equals or not all(path):
            raise SettingsError(
                f"--set {change}: a change reads key=value, such as train.replicates=3"
            )
        _put(changed, path, _value(text.strip(), change), change)
    return changed


def _value(text: str, change: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        if _BARE_WORD.fullmatch(text):
            return text
        raise SettingsError(
            f"--set {change}: {text!r} is no TOML value; write a number, true, false, "
            f'[a list] or "text"'
        ) from None


def _put(table: dict[str, Any], path: list[str], value: Any, change: str) -> None:
    place: Any = table
    for depth, part in enumerate(path):
        last = depth == len(path) - 1
        if isinstance(place, list):
            number = _number(place, part, change)
            if last:
                raise SettingsError(f"--set {change}: {'.'.join(path)} is a table; name a setting")
            place = place[number]
        elif isinstance(place, dict):
            if last:
                place[part] = value
            else:
                place = place.setdefault(part, {})
        else:
            raise SettingsError(f"--set {change}: {'.'.join(path[:depth])} is a value, not a table")


def _number(tables: list[Any], part: str, change: str) -> int:
    labels = [
        str(table.get("name", table.get("type"))) if isinstance(table, dict) else ""
        for table in tables
    ]
    if part in labels:
        return labels.index(part)
    if part.isdecimal() and int(part) < len(tables):
        return int(part)
    known = [*labels, *(str(i) for i in range(len(tables)))]
    raise SettingsError(f"--set {change}: {unknown('model', part, known)}")
