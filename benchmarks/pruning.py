"""How fast, and in how much memory, linked loci are pruned from a panel on disk.

    python benchmarks/pruning.py [--quick] [--dtype uint8] [--write]

Simulates segregants of a yeast cross into a Zarr array in chunks of whole rows, as panels are
saved, then prunes it at |r| > 0.94 on 85 % of the samples in a fresh process. The linkage map is
shortened so that about as many loci are kept as of the real 2022 cross, 1,164 of 41,594.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import zarr

from crosstrait.panel.simulate_meiosis import gametes, place_loci, recombination
from crosstrait.panel.simulate_settings import YEAST

SHORTENED = 0.84
ROWS = 400

PRUNE = """
import json, resource, sys, time
import numpy as np, zarr
from crosstrait.genotypes.prune import prune_linked
dosage = zarr.open_array(sys.argv[1], mode="r")
order = np.random.default_rng(0).permutation(dosage.shape[0])
rows = np.sort(order[: int(0.85 * len(order))])
start, cpu = time.perf_counter(), time.process_time()
kept = prune_linked(dosage, threshold=0.94, rows=rows)
print(json.dumps({
    "seconds": time.perf_counter() - start,
    "cpu_seconds": time.process_time() - cpu,
    "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    "kept": len(kept),
}))
"""


def simulate_to(path: Path, n_samples: int, n_loci: int, dtype: str) -> float:
    """Write the calls a few rows at a time and return the seconds it took."""
    start = time.perf_counter()
    rng = np.random.default_rng(0)
    chromosomes = tuple(c.model_copy(update={"morgans": SHORTENED * c.morgans}) for c in YEAST)
    switch = recombination(place_loci(chromosomes, n_loci=n_loci, rng=rng))
    array = zarr.create_array(path, shape=(n_samples, n_loci), chunks=(ROWS, n_loci), dtype=dtype)
    for first in range(0, n_samples, ROWS):
        n_rows = min(ROWS, n_samples - first)
        array[first : first + n_rows] = gametes(switch, n_gametes=n_rows, rng=rng).astype(dtype)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="2,000 segregants instead of 99,950")
    parser.add_argument("--dtype", choices=["uint8", "float16"], default="float16")
    parser.add_argument("--write", action="store_true", help="write benchmarks/pruning.md")
    options = parser.parse_args()
    n_samples, n_loci = (2000, 8000) if options.quick else (99_950, 41_594)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dosage.zarr"
        writing = simulate_to(path, n_samples, n_loci, options.dtype)
        command = [sys.executable, "-c", PRUNE, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    result = json.loads(done.stdout)
    table = "\n".join(
        [
            "| samples | loci | stored as | cores | kept | seconds | CPU seconds | peak GiB |",
            "|---|---|---|---|---|---|---|---|",
            f"| {n_samples:,} | {n_loci:,} | {options.dtype} | {os.cpu_count()} "
            f"| {result['kept']:,} | {result['seconds']:.0f} "
            f"| {result['cpu_seconds']:.0f} | {result['peak_gib']:.1f} |",
        ]
    )
    print(table)
    print(f"(simulated and written in {writing:.0f} s)")
    if options.write:
        command_line = " ".join(["python", *sys.argv])
        text = f"# Linkage pruning\n\n`{command_line}`\n\n{table}\n"
        Path(__file__).with_suffix(".md").write_text(text)


if __name__ == "__main__":
    main()
