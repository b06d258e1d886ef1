"""Which family or group each sample belongs to, read from a table of two columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crosstrait.errors import DataError, listed
from crosstrait.genotypes.ids import explain_mismatch
from crosstrait.genotypes.number_rows import is_missing
from crosstrait.genotypes.table import StringArray
from crosstrait.genotypes.text import TextReader, sniff_delimiter, split_fields
from crosstrait.genotypes.unique import Ids

_SIDES = ("samples of the panel", "samples of the groups")


@dataclass(frozen=True, kw_only=True, eq=False)
class Groups:
    """The group of each of some samples.

    Attributes
    ----------
    of
        Sample id -> group, never empty.
    heading
        The first field of the header.
    source
        What was read, for messages.
    """

    of: Mapping[str, str]
    heading: str
    source: str

    def for_samples(self, sample_id: StringArray) -> StringArray:
        """Return the (N,) groups of (N,) samples; those of other samples are not looked at.

        Raises
        ------
        DataError
            If a sample has no group, with examples and the likely cause.
        """
        ids = [str(name) for name in sample_id]
        lacking = [name for name in ids if name not in self.of]
        if lacking:
            raise DataError(self._why(lacking, set(ids)))
        return np.asarray([self.of[name] for name in ids], dtype=np.str_)

    def _why(self, lacking: list[str], ids: set[str]) -> str:
        if self.heading in lacking:
            return (
                f"{self.source}, line 1: {self.heading!r} is a sample; the first line names the "
                f"columns, such as sample,group: put such a line above"
            )
        if len(lacking) < len(ids):
            return (
                f"{self.source} gives no group to {len(lacking)} of {len(ids)} samples of the "
                f"panel: {listed(lacking)}; give each a group, one of its own if it has no "
                f"relatives"
            )
        cause = explain_mismatch(lacking, list(self.of), sides=_SIDES)
        return f"no sample of the panel is in {self.source}: {cause}"


def read_groups(path: Path) -> Groups:
    """Read a table of two columns, the sample's id and its group, below a line that names them.

    The delimiter (tab, comma or semicolon) is taken from the first lines.

    Raises
    ------
    DataError
        With the file and line of the first row that has not two columns, or no group, or an id
        that is empty or occurs twice.
    """
    ids = Ids()
    group: dict[str, str] = {}
    with TextReader(path) as reader:
        delimiter = sniff_delimiter(reader.peek(2), path=path)
        header = split_fields(reader.take_line(), delimiter=delimiter, path=path, line=1)
        _check_width(header, path=path, line=1)
        for line, data in reader.lines():
            fields = split_fields(data, delimiter=delimiter, path=path, line=line)
            _check_width(fields, path=path, line=line)
            name, label = fields[0], fields[1].strip()
            ids.add(name, path=path, line=line)
            if is_missing(label):
                raise DataError(
                    f"{path}, line {line}, column 2: sample {name!r} has no group; name it, or "
                    f"give the sample a group of its own"
                )
            group[name] = label
    if not group:
        raise DataError(f"{path} has a header but no rows")
    return Groups(of=group, heading=header[0], source=str(path))


def _check_width(fields: list[str], *, path: Path, line: int) -> None:
    if len(fields) != 2:
        raise DataError(
            f"{path}, line {line}: {len(fields)} columns where 2 are expected (a sample's id and "
            f"its group)"
        )
