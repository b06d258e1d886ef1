"""What opens a section."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest

from crosstrait.evaluation.leaderboard import LeaderboardRow
from crosstrait.evaluation.single_vs_multi import ScopeRow
from crosstrait.report.folder import RunFolder
from crosstrait.report.leads import bargain_text, scopes_text, wins_text
from crosstrait.report.scopes import Gain
from crosstrait.report.standings import standings
from support.run_folder import write_run_folder


def row(model: str, trait: str, r2: float) -> LeaderboardRow:
    return LeaderboardRow(model, trait, "r2", r2, 0.0, r2, r2, 1, 10, 1.0)


def test_traits_are_counted_by_their_best_model() -> None:
    rows = [row("gp", "a", 0.5), row("gp", "b", 0.5), row("gp", "c", 0.5), row("gp", "mean", 0.5)]
    rows += [row("trees", "a", 0.4), row("trees", "b", 0.6), row("trees", "c", math.nan)]
    assert wins_text(rows) == "gp has the highest R² on 2 of 3 traits; trees on 1."
    assert wins_text([line for line in rows if line.model == "gp"]) == ""
    assert wins_text([line for line in rows if line.trait == "a"]) == ""


@pytest.mark.parametrize(
    ("accuracy", "text"),
    [
        (
            {"ridge": 0.3, "trees": 0.4, "transformer": 0.5},
            "The best of the cheaper models, trees, has 0.",
        ),
        ({"ridge": 0.6, "trees": 0.4}, "ridge is the best and the cheapest."),
        ({"ridge": 0.6}, ""),
    ],
)
def test_a_cheaper_model_is_named_with_what_it_gives_up(
    tmp_path: Path, accuracy: dict[str, float], text: str
) -> None:
    read = RunFolder.read(write_run_folder(tmp_path, accuracy=accuracy, resamples=20))
    said = bargain_text(standings(read.leaderboard, comparison=read.comparison))
    assert said.startswith(text)
    assert bool(said) == bool(text)
    if "transformer" in accuracy:
        assert said.replace("\xa0", " ").endswith("takes 9.0 s instead of 12 min.")


def gain(model: str, difference: float) -> Gain:
    low, high = difference - 0.01, difference + 0.01
    row = ScopeRow(model, "s", "mean", 0.5, 0.5 - difference, difference, low, high, 0.9, 3, 30)
    return Gain(mean=row, better=1, worse=0)


def test_models_are_told_apart_by_what_learning_across_traits_does_for_them() -> None:
    every = [gain("a", 0.03), gain("b", -0.02), gain("c", 0.005), gain("d", 0.02)]
    assert scopes_text(every) == (
        "On average over traits it helps a (+0.030) and d (+0.020), "
        "hurts b (\N{MINUS SIGN}0.020), makes no sure difference for c (+0.005)."
    )
    assert scopes_text([]) == ""


def test_a_better_model_that_is_hardly_cheaper_is_not_passed_over_in_silence(
    tmp_path: Path,
) -> None:
    accuracy = {"ridge": 0.3, "trees": 0.4, "canonical": 0.5, "transformer": 0.6}
    folder = write_run_folder(tmp_path, accuracy=accuracy, resamples=20)
    table = pd.read_csv(folder / "leaderboard.csv")
    table.loc[table["model"] == "canonical", "train_seconds"] = 700.0
    table.to_csv(folder / "leaderboard.csv", index=False)
    read = RunFolder.read(folder)
    said = bargain_text(standings(read.leaderboard, comparison=read.comparison))
    assert said.replace("\xa0", " ").startswith(
        "The best of the models that are more than 20 % cheaper, trees, has "
    )


def test_a_model_that_alone_has_scores_wins_no_trait() -> None:
    rows = [row("gp", "a", 0.5), row("gp", "b", 0.5), row("trees", "a", math.nan)]
    assert wins_text(rows) == ""
