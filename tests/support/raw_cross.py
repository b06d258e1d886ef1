"""Writes a small cross in the layout of the raw files of 2022."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def write_raw_cross(
    folder: Path,
    probability: NDArray[np.floating],
    *,
    n_files: int = 1,
    environments: tuple[str, ...] = ("li",),
    zipped: bool = False,
    decimals: int = 4,
    seed: int = 0,
) -> dict[str, NDArray[np.float64]]:
    """Write geno_data, pheno_data and SNP_list files; return each environment's (N, 2) table."""
    folder.mkdir(parents=True, exist_ok=True)
    n_samples, n_loci = probability.shape
    bounds = np.linspace(0, n_samples, n_files + 1).astype(int)
    for k in range(n_files):
        name = f"geno_data_{k + 1}.txt" + (".gz" if zipped else "")
        opener = gzip.open if zipped else open
        with opener(folder / name, "wt") as file:  # type: ignore[operator]
            for i in range(bounds[k], bounds[k + 1]):
                row = "\t".join(np.char.mod(f"%.{decimals}f", probability[i]))
                file.write(f"{i}\t{row}\n")
    lines = ['"Index"\t"SNP"\t"Chromosome"\t"Position (bp)"\t"BY allele"\t"RM allele"']
    half = n_loci // 2
    for j in range(n_loci):
        if j == half:
            lines.append(f"{j}\tEND\t1\t0\t0\t0")
        chromosome, index = (1, j) if j < half else (2, j + 1)
        lines.append(f"{index}\tsnp{j + 1}\t{chromosome}\t{100 + 10 * j}\tA\tG")
    lines.append(f"{n_loci + 1}\tEND\t2\t0\t0\t0")
    (folder / "SNP_list.txt").write_text("\n".join(lines) + "\n")
    rng = np.random.default_rng(seed)
    tables = {}
    for environment in environments:
        table = np.column_stack([rng.normal(size=n_samples), rng.uniform(0.01, 0.1, n_samples)])
        table[rng.random(n_samples) < 0.05] = np.nan
        rows = "\n".join(f"{i}\t{y!r}\t{se!r}" for i, (y, se) in enumerate(table.tolist()))
        text = f"Number\tFitness\tStd Error\n{rows}\n"
        (folder / f"pheno_data_{environment}.txt").write_text(text)
        tables[environment] = table
    return tables
