"""The base of every configuration: frozen, typed, and strict about what it does not know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from crosstrait.errors import SettingsError, unknown


class Settings(BaseModel):
    """A frozen group of settings; equal settings serialise to equal JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

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
                problems.append(unknown("setting", name, cls.model_fields))
            elif problem["type"] == "missing":
                problems.append(f"setting {name!r} is required")
            else:
                message = problem["msg"].removeprefix("Value error, ")
                message = message[:1].lower() + message[1:]
                # A rule about several settings has no one place and names its values itself.
                problems.append(f"{name} = {problem['input']!r}: {message}" if name else message)
        return problems
