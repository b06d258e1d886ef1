"""What it takes to look a panel over and to write its page: seconds, and memory beyond the panel.

python benchmarks/inspect_panel.py [--quick]
"""

from __future__ import annotations

import argparse
import tempfile
import time
import tracemalloc
from pathlib import Path

import numpy as np

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


def look(panel: Panel, page: Path) -> tuple[float, float]:
    """Return the seconds of the summary, and of its page."""
    start = time.perf_counter()
    summary = inspect(panel)
    middle = time.perf_counter()
    write_inspection(summary, out=page)
    return middle - start, time.perf_counter() - middle


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    print("samples,loci,traits,summary_seconds,page_seconds,page_kib,peak_mib_beyond_the_panel")
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "panel.html"
        for shape in QUICK if parser.parse_args().quick else SHAPES:
            panel = simulated(*shape)
            seconds = look(panel, page)
            tracemalloc.start()
            look(panel, page)
            peak = tracemalloc.get_traced_memory()[1] / 2**20
            tracemalloc.stop()
            times = f"{seconds[0]:.2f},{seconds[1]:.2f}"
            size = page.stat().st_size / 1024
            print(f"{','.join(map(str, shape))},{times},{size:.0f},{peak:.0f}", flush=True)


if __name__ == "__main__":
    main()
