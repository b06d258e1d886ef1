"""The joined data: genotypes, loci, traits and samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crosstrait.lazy import lazily
from crosstrait.panel.schema import Panel, from_arrays

if TYPE_CHECKING:
    from crosstrait.panel.join import PartialOverlapWarning, PloidyWarning, UncalledLocusWarning
    from crosstrait.panel.sources import import_source, load_genotypes, load_panel
    from crosstrait.panel.storage import open_panel, save_panel

__all__ = [
    "Panel",
    "PartialOverlapWarning",
    "PloidyWarning",
    "UncalledLocusWarning",
    "from_arrays",
    "import_source",
    "load_genotypes",
    "load_panel",
    "open_panel",
    "save_panel",
]

# Imported on first use: the parsers and the storage are heavy, and a panel of arrays needs none.
__getattr__ = lazily(
    __name__,
    {
        "PartialOverlapWarning": "crosstrait.panel.join",
        "PloidyWarning": "crosstrait.panel.join",
        "UncalledLocusWarning": "crosstrait.panel.join",
        "import_source": "crosstrait.panel.sources",
        "load_genotypes": "crosstrait.panel.sources",
        "load_panel": "crosstrait.panel.sources",
        "open_panel": "crosstrait.panel.storage",
        "save_panel": "crosstrait.panel.storage",
    },
)
