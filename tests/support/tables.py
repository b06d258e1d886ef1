"""Writes small tables for readers to read."""

from __future__ import annotations

from pathlib import Path

GENOTYPES = """id,snp1,snp2,snp3
s1,0,1,1
s2,1,0,1
s3,1,1,0
s4,0,0,NA
"""

TRAITS = """id,height,yield
s1,1.5,10
s2,2.5,NA
s3,0.5,12
s4,3.5,11
"""


def write_tables(folder: Path, *, genotypes: str = GENOTYPES, traits: str = TRAITS) -> Path:
    """Write ``genotypes.csv`` and ``traits.csv`` and return their folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "genotypes.csv").write_text(genotypes)
    (folder / "traits.csv").write_text(traits)
    return folder
