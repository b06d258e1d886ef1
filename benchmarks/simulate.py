"""How fast, and in how much memory, a cross as large as the real one of 2022 is simulated.

    python benchmarks/simulate.py [--quick] [--write]

Simulates 100,000 segregants x 1,164 loci x 18 traits with 300 causal loci, 320 interactions and
missing cells in a fresh process, sealed panel and truth included.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

SIMULATE = """
import json, resource, sys, time
from crosstrait.panel.simulate import SimulationConfig, simulate
config = SimulationConfig.model_validate_json(sys.argv[1])
start, cpu = time.perf_counter(), time.process_time()
panel, truth = simulate(config)
print(json.dumps({
    "seconds": time.perf_counter() - start,
    "cpu_seconds": time.process_time() - cpu,
    "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    "attainable_r2": float(truth.attainable_r2.mean()),
}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="5,000 segregants instead of 100,000")
    parser.add_argument("--write", action="store_true", help="write benchmarks/simulate.md")
    options = parser.parse_args()
    config = {
        "n_samples": 5000 if options.quick else 100_000,
        "n_loci": 1164,
        "n_traits": 18,
        "n_causal": 300,
        "additive": 0.5,
        "epistasis": {
            "share": 0.15,
            "n_hubs": 5,
            "hub_partners": 40,
            "n_pairs": 100,
            "n_triples": 20,
        },
        "genetic_correlation": 0.4,
        "missing": {"traits": 0.05, "clustering": 0.2, "calls": 0.01},
    }
    command = [sys.executable, "-c", SIMULATE, json.dumps(config)]
    result = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    table = "\n".join(
        [
            "| samples | loci | traits | cores | seconds | CPU seconds | peak GiB | reachable R2 |",
            "|---|---|---|---|---|---|---|---|",
            f"| {config['n_samples']:,} | {config['n_loci']:,} | {config['n_traits']} "
            f"| {os.cpu_count()} | {result['seconds']:.1f} "
            f"| {result['cpu_seconds']:.1f} | {result['peak_gib']:.2f} "
            f"| {result['attainable_r2']:.3f} |",
        ]
    )
    print(table)
    if options.write:
        command_line = " ".join(["python", *sys.argv])
        text = f"# Simulating a cross\n\n`{command_line}`\n\n{table}\n"
        Path(__file__).with_suffix(".md").write_text(text)


if __name__ == "__main__":
    main()
