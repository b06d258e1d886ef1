"""Ask scikit-learn's `check_estimator` about every registered model behind `CrosstraitRegressor`.

    python validation/scikit_learn.py            # writes scikit_learn.md
    python validation/scikit_learn.py ridge gp   # some models, and no table

Networks have settings that learn the 200 samples of the checks in seconds; all else is default but
for `stack` and `sparse_attention`, whose parts are small.
"""

from __future__ import annotations

import sys
import time
import warnings
from pathlib import Path
from typing import Any

import sklearn
from sklearn.utils.estimator_checks import check_estimator

from crosstrait.experiments.storage import write_text
from crosstrait.models.registry import model_names
from crosstrait.training.regressor import CrosstraitRegressor

TRAINING: dict[str, dict[str, Any]] = {
    **{
        model: {"max_epochs": 30, "batch_size": 32, "learning_rate": 0.03}
        for model in ("rijal", "rijal_multienv", "canonical")
    },
    "transformer": {"max_epochs": 60, "batch_size": 32, "learning_rate": 0.01},
}
SETTINGS: dict[str, dict[str, Any]] = {
    "stack": {"models": ["ridge", "lasso"]},
    "sparse_attention": {"n_pairs": 10, "networks": {"focus": (0, 1), "width": 8, "epochs": 2}},
    "rijal": {"embedding_dim": 3, "n_layers": 1},
    "rijal_multienv": {"locus_dim": 2, "n_layers": 1},
    "canonical": {"embedding_dim": 4, "n_layers": 1},
    "transformer": {"embedding_dim": 16, "n_heads": 2, "n_layers": 1, "feedforward_dim": 16},
}


def main() -> int:
    chosen = sys.argv[1:] or model_names()
    rows, failed = [], False
    for model in chosen:
        regressor = CrosstraitRegressor(
            model, settings=SETTINGS.get(model), train=TRAINING.get(model)
        )
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            results = check_estimator(regressor, on_skip=None, on_fail=None)
        seconds = time.perf_counter() - start
        counts = {
            status: sum(r["status"] == status for r in results)
            for status in ("passed", "skipped", "failed")
        }
        names = dict.fromkeys(r["check_name"] for r in results if r["status"] == "failed")
        failed |= bool(names)
        cells = [model, *map(str, counts.values()), ", ".join(names) or "-", f"{seconds:.0f} s"]
        rows.append(f"| {' | '.join(cells)} |")
        print(rows[-1], flush=True)
    if not sys.argv[1:]:
        table = "\n".join(
            [
                "| model | passed | skipped | failed | which | time |",
                "|---|---|---|---|---|---|",
                *rows,
            ]
        )
        text = (
            f"# scikit-learn's checks\n\n{__doc__}\nscikit-learn {sklearn.__version__}; what is "
            f"skipped is the check of array API input.\n\n{table}\n"
        )
        write_text(Path(__file__).with_suffix(".md"), text)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
