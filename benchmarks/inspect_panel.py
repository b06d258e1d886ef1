"""What it takes to look a panel over: seconds, and memory beyond the panel.

python benchmarks/inspect_panel.py [--quick]
"""

from __future__ import annotations

import argparse
import time
import tracemalloc

import numpy as np

from crosstrait.panel import Panel, from_arrays
from crosstrait.panel.inspect import inspect

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    print("samples,loci,traits,seconds,cpu_seconds,peak_mib_beyond_the_panel")
    for shape in QUICK if parser.parse_args().quick else SHAPES:
        panel = simulated(*shape)
        start, cpu = time.perf_counter(), time.process_time()
        inspect(panel)
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
        tracemalloc.start()
        inspect(panel)
        peak = tracemalloc.get_traced_memory()[1] / 2**20
        tracemalloc.stop()
        print(f"{','.join(map(str, shape))},{seconds:.2f},{cpu:.2f},{peak:.0f}", flush=True)


if __name__ == "__main__":
    main()
