"""How fast, and in how much memory, the raw files of the 2022 cross are read.

    python benchmarks/read_raw_cross.py [--quick]

Writes segregants with the published 41,594 loci to a temporary folder, reads them in a fresh
process and prints numbers a second, the peak memory over that of the matrix, and what the whole
set of 99,950 segregants would take at that rate.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from support.raw_cross import write_raw_cross

PUBLISHED = (99_950, 41_594)

READ = """
import json, resource, sys, time
from crosstrait.genotypes import read
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before = peak()
start = time.perf_counter()
genotypes = read(sys.argv[1])
seconds = time.perf_counter() - start
print(json.dumps({
    "seconds": seconds,
    "numbers_per_second": genotypes.dosage.size / seconds,
    "matrix_mib": genotypes.dosage.nbytes / 2**20,
    "peak_above_start_mib": peak() - before,
}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="200 segregants instead of 4,000")
    parser.add_argument("--zipped", action="store_true", help="gzip the files, as published")
    parser.add_argument("--decimals", type=int, default=4, help="digits of each probability")
    options = parser.parse_args()
    n_samples = 200 if options.quick else 4000
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        probability = rng.beta(0.05, 0.05, (n_samples, PUBLISHED[1])).astype(np.float32)
        write_raw_cross(
            Path(folder), probability, n_files=2, zipped=options.zipped, decimals=options.decimals
        )
        del probability
        done = subprocess.run(
            [sys.executable, "-c", READ, folder], capture_output=True, text=True, check=True
        )
    result = json.loads(done.stdout)
    for name, value in result.items():
        print(f"{name:24s} {value:14,.1f}")
    minutes = PUBLISHED[0] * PUBLISHED[1] / result["numbers_per_second"] / 60
    print(f"{'whole set, minutes':24s} {minutes:14,.1f}")


if __name__ == "__main__":
    main()
