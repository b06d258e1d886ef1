"""The joined data: genotypes, loci, traits and samples."""

from crosstrait.panel.schema import Panel, from_arrays

__all__ = ["Panel", "from_arrays"]
