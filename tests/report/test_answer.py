"""The answer in one sentence."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from crosstrait.evaluation.comparison import ComparisonRow
from crosstrait.evaluation.leaderboard import LeaderboardRow
from crosstrait.report.answer import find_answer


def board(*models: tuple[str, float, float], traits: int = 2) -> pd.DataFrame:
    rows = [
        LeaderboardRow(model, trait, "r2", mean, 0.001, mean - 0.01, mean + 0.01, 3, 100, seconds)
        for model, mean, seconds in models
        for trait in ("mean", *(f"t{j}" for j in range(traits)))
    ]
    return pd.DataFrame(rows)


def differences(*pairs: tuple[str, str, float, float, float]) -> pd.DataFrame:
    rows = [ComparisonRow(a, b, "mean", "r2", d, lo, hi, 0.9, 2, 200) for a, b, d, lo, hi in pairs]
    return pd.DataFrame(rows, columns=list(ComparisonRow._fields))


def test_it_says_which_by_how_much_how_sure_and_at_what_cost() -> None:
    answer = find_answer(
        board(("transformer", 0.42, 720.0), ("trees", 0.41, 9.0), ("ridge", 0.40, 0.4)),
        comparison=differences(
            ("transformer", "trees", 0.01, 0.004, 0.016),
            ("transformer", "ridge", 0.02, 0.013, 0.027),
        ),
    )
    assert answer.is_clear
    assert answer.sentence.replace("\xa0", " ").replace("\u202f", " ") == (
        "transformer predicts best: mean R² 0.420 over 2 traits, 0.010 above the runner-up trees "
        "(95 % interval 0.004 to 0.016) and 0.020 above the linear baseline ridge (95 % interval "
        "0.013 to 0.027), at 12 min a training, 1 800 times the time of ridge."
    )


def test_a_lead_that_may_be_zero_is_no_clear_win() -> None:
    answer = find_answer(
        board(("trees", 0.41, 9.0), ("ridge", 0.40, 0.4)),
        comparison=differences(("trees", "ridge", 0.01, -0.002, 0.02)),
    )
    assert not answer.is_clear
    assert answer.sentence.startswith("trees scores highest, but not surely higher than ridge: ")
    assert "the runner-up and linear baseline ridge" in answer.sentence


def test_every_model_that_cannot_be_told_from_the_best_is_named() -> None:
    answer = find_answer(
        board(("gp", 0.42, 9.0), ("trees", 0.41, 9.0), ("lasso", 0.40, 1.0), ("ridge", 0.3, 0.4)),
        comparison=differences(
            ("gp", "trees", 0.01, 0.001, 0.019),
            ("gp", "lasso", 0.02, -0.003, 0.041),
            ("gp", "ridge", 0.12, 0.1, 0.14),
        ),
    )
    assert answer.ties == ("lasso",)
    assert not answer.is_clear
    assert "not surely higher than lasso: " in answer.sentence


def test_a_small_difference_is_not_rounded_to_nothing() -> None:
    answer = find_answer(
        board(("stack", 0.809, 9.0), ("residual", 0.808, 9.0)),
        comparison=differences(("stack", "residual", 0.0005, -0.0001, 0.0013)),
    )
    text = answer.sentence.replace("\xa0", " ")
    assert (
        "0.0005 above the runner-up residual (95 % interval \N{MINUS SIGN}0.0001 to 0.0013)" in text
    )


def test_equal_models_are_level() -> None:
    answer = find_answer(
        board(("a", 0.3, 9.0), ("b", 0.3, 9.0)),
        comparison=differences(("a", "b", 0.0001, -0.007, 0.006)),
    )
    assert "level with the runner-up b" in answer.sentence


def test_the_baseline_itself_may_win() -> None:
    answer = find_answer(
        board(("ridge", 0.41, 0.4), ("trees", 0.40, 9.0)),
        comparison=differences(("ridge", "trees", 0.01, 0.002, 0.02)),
    )
    assert answer.over_baseline is None
    assert "times" not in answer.sentence
    assert "0.010 above the runner-up trees" in answer.sentence


def test_one_trait_is_named() -> None:
    answer = find_answer(board(("ridge", 0.41, math.nan), traits=1), comparison=differences())
    assert answer.sentence == "ridge is alone: R² 0.410 on t0."


@pytest.mark.parametrize("mean", [math.nan])
def test_models_without_a_mean_are_never_the_best(mean: float) -> None:
    table = board(("canonical", mean, 1.0), ("ridge", 0.4, 0.4))
    assert find_answer(table, comparison=differences()).best.model == "ridge"
    table = board(("canonical", mean, 1.0))
    table.loc[1, "mean"] = 0.4  # of one trait
    assert "none can be called the best" in find_answer(table, comparison=differences()).sentence


def test_a_winner_that_may_be_no_better_than_the_mean_is_said_to_be_none() -> None:
    pair = differences(("trees", "ridge", 0.01, 0.002, 0.02))
    below = find_answer(board(("trees", -0.027, 9.0), ("ridge", -0.037, 0.4)), comparison=pair)
    assert below.verdict.replace("\xa0", " ") == (
        "No model is better than predicting the mean: trees scores highest, mean R² \N{MINUS SIGN}"
        "0.027 over 2 traits (95 % interval \N{MINUS SIGN}0.037 to \N{MINUS SIGN}0.017)"
    )
    near = find_answer(board(("trees", 0.005, 9.0), ("ridge", -0.005, 0.4)), comparison=pair)
    assert near.verdict.startswith("No model is surely better than predicting the mean: trees")
    alone = find_answer(board(("ridge", -0.1, 0.4), traits=1), comparison=differences())
    assert alone.verdict.startswith("ridge is not better than predicting the mean: R² ")


def test_where_every_model_misses_runs_that_is_said() -> None:
    table = board(("canonical", math.nan, 1.0), ("ridge", math.nan, 1.0))
    assert "Every model misses runs" in find_answer(table, comparison=differences()).sentence
