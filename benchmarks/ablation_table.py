"""The ablation as Markdown: every model beside the one that it changes.

    crosstrait run experiments/ablation.toml --out results/ablation
    python benchmarks/ablation_table.py results/ablation

The number that a model's name starts with is its place on the way from rijal to the transformer;
a letter marks a side branch of the plain number.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from crosstrait.evaluation.comparison import difference_rows
from crosstrait.evaluation.leaderboard import MEAN, LeaderboardRow, leaderboard_rows
from crosstrait.report.folder import RunFolder
from crosstrait.report.numbers import duration, fixed, interval_text, spread


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    print(table(RunFolder.read(parser.parse_args().results)))


def table(folder: RunFolder) -> str:
    """Return a row a model, in the order of their numbers."""
    rows = leaderboard_rows(folder.leaderboard, metric="r2")
    means = {row.model: row for row in rows if row.trait == MEAN}
    lines = [
        "| model | mean R2 | R2 minus that of | 95 % interval | one training |",
        "|---|---|---|---|---|",
    ]
    for name in sorted(means, key=place):
        row = means[name]
        base = changed_from(name, list(means))
        score = f"{fixed(row.mean)} {spread(row.sd)}" if row.sd == row.sd else fixed(row.mean)
        gain = difference(folder, row, base) if base else " | "
        lines.append(f"| {name} | {score} | {gain} | {duration(row.train_seconds)} |")
    return "\n".join(lines)


def place(name: str) -> tuple[int, str]:
    """Return the number and the letter of a model."""
    number, letter = re.match(r"(\d+)([a-z]?)-", name).groups()
    return int(number), letter


def changed_from(name: str, names: list[str]) -> str | None:
    """Return the model that ``name`` differs from by one change."""
    number, letter = place(name)
    wanted = (number, "") if letter else (number - 1, "")
    return next((other for other in names if place(other) == wanted), None)


def difference(folder: RunFolder, row: LeaderboardRow, base: str) -> str:
    """Return the paired difference to ``base`` and its interval."""
    found = difference_rows(folder.comparison, model=row.model, other=base, metric="r2")
    mean = next(line for line in found if line.trait == MEAN)
    interval = interval_text(mean.ci_low, mean.ci_high, sign=True)
    return f"{base}: {fixed(mean.difference, sign=True)} | {interval}"


if __name__ == "__main__":
    main()
