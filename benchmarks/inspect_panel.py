"""What it takes to look a panel over and to write its page: seconds, and memory of the process.

    python benchmarks/inspect_panel.py            # writes inspect_panel.md
    python benchmarks/inspect_panel.py --quick    # a small panel, and no table

Panels of random genotypes with holes, each in a process of its own. Nearly equal samples are looked
for among all; linkage, relationships and components are of a fixed sample of 2,000.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from crosstrait.experiments.storage import write_text
from crosstrait.panel import Panel, from_arrays
from crosstrait.panel.inspect import inspect
from crosstrait.report import write_inspection

SHAPES = [(1_008, 11_623, 46), (99_950, 1_164, 18)]
QUICK = [(500, 600, 5)]


def simulated(n_samples: int, n_loci: int, n_traits: int) -> Panel:
    random = np.random.default_rng(0)
    dosage = np.empty((n_samples, n_loci), dtype=np.float32)
    for rows in np.array_split(dosage, 10):
        rows[:] = random.integers(0, 2, rows.shape)
        rows[random.random(rows.shape) < 0.02] = np.nan
    traits = random.normal(size=(n_samples, n_traits))
    traits[random.random(traits.shape) < 0.05] = np.nan
    contig = np.arange(n_loci) * 16 // n_loci
    return from_arrays(
        dosage,
        trait_value=traits,
        trait_names=[f"t{t}" for t in range(n_traits)],
        variant_contig=[f"chr{c:02}" for c in contig],
        variant_position=np.arange(n_loci) * 1000,
    )


def look(shape: tuple[int, int, int]) -> str:
    """Return a row: seconds of the summary and of its page, its size, and the memory at most."""
    panel = simulated(*shape)
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "panel.html"
        start = time.perf_counter()
        summary = inspect(panel)
        middle = time.perf_counter()
        write_inspection(summary, out=page)
        end = time.perf_counter()
        size = page.stat().st_size / 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    sizes = " | ".join(f"{n:,}" for n in shape)
    return (
        f"| {sizes} | {middle - start:.1f} s | {end - middle:.1f} s | {size:.0f} KiB "
        f"| {panel.nbytes / 2**30:.2f} GiB | {peak:.2f} GiB |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    lines = [
        "| samples | loci | traits | summary | page | its size | panel | process at most |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for shape in QUICK if quick else SHAPES:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            lines.append(pool.apply(look, (shape,)))
    table = "\n".join(lines)
    print(table)
    if not quick:
        text = f"# Looking a panel over\n\n{__doc__}\n{table}\n"
        write_text(Path(__file__).with_suffix(".md"), text)


if __name__ == "__main__":
    main()
