"""Names that must be there and differ: row ids and column headers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from crosstrait.errors import DataError


@dataclass
class Ids:
    """The ids met so far, each with the place where it stands."""

    places: dict[str, tuple[Path, int]] = field(default_factory=dict)

    def add(self, name: str, *, path: Path, line: int, column: int = 1) -> None:
        """Note an id.

        Raises
        ------
        DataError
            If it is empty or was met before.
        """
        if not name:
            raise DataError(f"{path}, line {line}, column {column}: the id is empty")
        if name in self.places:
            other, before = self.places[name]
            where = f"line {before}" if other == path else f"{other}, line {before}"
            raise DataError(
                f"{path}, line {line}, column {column}: id {name!r} occurs again; the first is on "
                f"{where}; keep one of them, or give each an id of its own"
            )
        self.places[name] = (path, line)


def check_names(names: Sequence[str], *, path: Path, first: int = 2) -> None:
    """Check the names that a header gives to columns ``first``, ``first`` + 1, ...

    Raises
    ------
    DataError
        If a name is empty or occurs twice.
    """
    seen: dict[str, int] = {}
    for column, name in enumerate(names, start=first):
        if not name.strip():
            raise DataError(f"{path}, line 1, column {column}: the name is empty")
        if name in seen:
            raise DataError(
                f"{path}, line 1: column name {name!r} occurs twice, in columns {seen[name]} "
                f"and {column}"
            )
        seen[name] = column
