"""The base of every configuration: frozen, typed, and strict about what it does not know."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import NoneType, UnionType
from typing import Any, Self, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator

from crosstrait.errors import SettingsError, unknown

# What other libraries call a setting: too far from our name for a guess by spelling.
_OTHER_NAMES = {
    "lr": ("learning_rate",),
    "wd": ("weight_decay",),
    "bs": ("batch_size",),
    "epochs": ("max_epochs",),
    "n_epochs": ("max_epochs", "epochs"),
    "num_epochs": ("max_epochs", "epochs"),
    "max_epochs": ("epochs",),
    "early_stopping": ("patience",),
    "random_state": ("seed",),
    "n_splits": ("folds",),
    "cv": ("folds",),
    "k": ("folds",),
    "test_size": ("test",),
}


def unknown_setting(name: str, known: Iterable[str]) -> str:
    """Say that there is no setting ``name``, with the one it may mean or all of them.

    Examples
    --------
    >>> unknown_setting("lr", ["learning_rate", "max_epochs"])
    "unknown setting 'lr' (did you mean 'learning_rate'?)"
    """
    names = list(known)
    meant = other_name(name, names)
    if meant is None:
        return unknown("setting", name, names)
    return f"unknown setting {name!r} (did you mean {meant!r}?)"


def other_name(name: str, known: Iterable[str]) -> str | None:
    """Return which of ``known`` other libraries call ``name``, or None."""
    names = set(known)
    return next((ours for ours in _OTHER_NAMES.get(name.lower(), ()) if ours in names), None)


class Settings(BaseModel):
    """A frozen group of settings; equal settings serialise to equal JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    @field_validator("*", mode="before")
    @classmethod
    def _numbers_are_numbers(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse what pydantic would turn into a number: ``"3"``, and ``true`` for 1."""
        if isinstance(value, str | bool):
            kinds = _kinds(cls.model_fields[str(info.field_name)].annotation)
            if kinds <= {int, float, bool} and type(value) not in kinds:
                wanted = "true or false" if kinds == {bool} else "a number"
                quotes = ", without quotes" if isinstance(value, str) else ""
                raise ValueError(f"give {wanted}{quotes}")
        return value

    @classmethod
    def parse(cls, values: Mapping[str, Any], *, where: str) -> Self:
        """Build from untrusted ``values``, reporting every problem at once.

        Parameters
        ----------
        values
            Setting names and values, as read from a file or a command line.
        where
            What to call the place in messages, such as ``"[[model]] 2 (ridge)"``.

        Raises
        ------
        SettingsError
            With one clause a problem: unknown names with the nearest spelling,
            wrong types, values out of range.
        """
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise SettingsError(f"{where}: {'; '.join(cls._explain(error))}") from None

    @classmethod
    def _explain(cls, error: ValidationError) -> list[str]:
        problems = []
        for problem in error.errors():
            name = ".".join(str(part) for part in problem["loc"])
            if problem["type"] == "extra_forbidden":
                problems.append(unknown_setting(name, cls.model_fields))
            elif problem["type"] == "missing":
                problems.append(f"setting {name!r} is required")
            else:
                message = problem["msg"].removeprefix("Value error, ")
                message = message[:1].lower() + message[1:]
                # A rule about several settings has no one place and names its values itself.
                problems.append(f"{name} = {problem['input']!r}: {message}" if name else message)
        return problems


def _kinds(annotation: Any) -> set[Any]:
    """Return the types that a setting may have, but for None."""
    options = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else [annotation]
    return set(options) - {NoneType}
