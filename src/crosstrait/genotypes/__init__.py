"""Reading, coding, filtering and pruning genotypes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crosstrait.genotypes.table import Genotypes

if TYPE_CHECKING:
    from crosstrait.genotypes.formats import read

__all__ = ["Genotypes", "read"]


def __getattr__(name: str) -> Any:
    if name == "read":  # its parsers need pyarrow, which few users of this package do
        from crosstrait.genotypes.formats import read

        return read
    raise AttributeError(f"module 'crosstrait.genotypes' has no attribute {name!r}")
