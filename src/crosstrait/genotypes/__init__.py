"""Reading, coding, filtering and pruning genotypes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crosstrait.genotypes.table import Genotypes
from crosstrait.lazy import lazily

if TYPE_CHECKING:
    from crosstrait.genotypes.formats import read

__all__ = ["Genotypes", "read"]

# Its parsers need pyarrow, which few users of this package do.
__getattr__ = lazily(__name__, {"read": "crosstrait.genotypes.formats"})
