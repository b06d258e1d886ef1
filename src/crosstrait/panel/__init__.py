"""The joined data: genotypes, loci, traits and samples."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from crosstrait.panel.schema import Panel, from_arrays

if TYPE_CHECKING:
    from crosstrait.panel.join import PartialOverlapWarning
    from crosstrait.panel.sources import import_source, load_genotypes, load_panel
    from crosstrait.panel.storage import open_panel, save_panel

__all__ = [
    "Panel",
    "PartialOverlapWarning",
    "from_arrays",
    "import_source",
    "load_genotypes",
    "load_panel",
    "open_panel",
    "save_panel",
]

# Imported on first use: the parsers and the storage are heavy, and a panel of arrays needs none.
_LAZY = {
    "PartialOverlapWarning": "join",
    "import_source": "sources",
    "load_genotypes": "sources",
    "load_panel": "sources",
    "open_panel": "storage",
    "save_panel": "storage",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(f"crosstrait.panel.{_LAZY[name]}"), name)
    raise AttributeError(f"module 'crosstrait.panel' has no attribute {name!r}")
