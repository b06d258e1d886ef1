"""How long scoring and the report of a large experiment take, and how large the page is.

    python benchmarks/score_and_report.py [--quick]

46 traits, 8 models, 5 replicates, 5 folds that are scored together, 1,008 samples, 1,000
resamples: 1.8 million cells.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from crosstrait.evaluation import compare, leaderboard, score
from crosstrait.report.page import write_report
from support.predictions import predictions, trait_values
from support.run_folder import BYXRM_TRAITS, write_run_folder

MODELS = ("ridge", "trees", "rijal", "canonical", "transformer", "residual", "gp", "deep")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="100 samples and 1 replicate")
    quick = parser.parse_args().quick
    n_samples, replicates = (100, 1) if quick else (1008, 5)
    accuracy = {model: 0.35 + k / 100 for k, model in enumerate(MODELS)}
    traits = BYXRM_TRAITS.split()
    values = trait_values(n_samples, n_traits=len(traits), missing=0.05)
    cells = predictions(values, accuracy=accuracy, replicates=replicates, folds=5)
    start = time.perf_counter()
    scores = score(cells, pooled=True, resamples=1000)
    rows = len(leaderboard(scores)) + len(compare(scores))
    print(f"score {len(cells):,} cells, {rows:,} rows: {time.perf_counter() - start:.1f} s")
    with tempfile.TemporaryDirectory() as name:
        folder = write_run_folder(
            Path(name),
            n_samples=n_samples,
            trait_names=traits,
            accuracy=accuracy,
            replicates=replicates,
            folds=5,
        )
        start = time.perf_counter()
        page = write_report(folder)
        seconds = time.perf_counter() - start
        print(f"report of {page.stat().st_size / 2**20:.2f} MiB: {seconds:.1f} s")


if __name__ == "__main__":
    main()
