"""Draw the README's picture from a finished experiment.

crosstrait run experiments/byxrm.toml --out results/byxrm
python benchmarks/readme_figure.py results/byxrm
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from crosstrait.report.frontier import frontier
from crosstrait.report.svg import svg_bytes

PICTURE = Path(__file__).parents[1] / "docs" / "leaderboard.svg"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of a finished experiment")
    folder: Path = parser.parse_args().folder
    leaderboard = pd.read_csv(folder / "leaderboard.csv")
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_bytes(svg_bytes(frontier(leaderboard, width_mm=150)))


if __name__ == "__main__":
    main()
