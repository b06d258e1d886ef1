from __future__ import annotations

import numpy as np
import pytest

from crosstrait.evaluation import compare, leaderboard, score
from crosstrait.evaluation.single_vs_multi import SINGLE_VS_MULTI_COLUMNS, single_vs_multi
from support.predictions import predictions, trait_values


def test_the_gain_is_the_paired_difference_whichever_ranks_first() -> None:
    values = trait_values(150, n_traits=3, missing=0.2)
    cells = predictions(
        values,
        accuracy={"good": 0.6, "good-single": 0.4, "bad": 0.3, "bad-single": 0.5},
        replicates=1,
        folds=2,
        trait_names=["a", "b", "c"],
    )
    scores = score(cells, pooled=True, resamples=100)
    board, differences = leaderboard(scores), compare(scores)
    pairs = [("good", "good-single"), ("bad", "bad-single"), ("bad", "not there")]
    table = single_vs_multi(board, comparison=differences, pairs=pairs)
    assert tuple(table.columns) == SINGLE_VS_MULTI_COLUMNS
    assert table["model"].tolist() == ["good"] * 4 + ["bad"] * 4
    assert table["trait"].tolist() == ["mean", "a", "b", "c"] * 2
    np.testing.assert_allclose(table["difference"], table["r2_multi"] - table["r2_single"])
    mean = table[table["trait"] == "mean"].set_index("model")
    assert mean.loc["good", "ci_low"] > 0
    assert mean.loc["bad", "ci_high"] < 0
    assert mean.loc["good", "share_better"] == pytest.approx(1)
    for _, own in table.groupby("model"):
        assert own["r2_multi"].iloc[0] == pytest.approx(own["r2_multi"].iloc[1:].mean())
    measured = (~np.isnan(values)).sum(axis=0)
    assert table["n_cells"].tolist() == [measured.sum(), *measured] * 2


def test_a_version_of_some_traits_is_compared_on_these() -> None:
    cells = predictions(
        trait_values(100, n_traits=3, missing=0.0),
        accuracy={"m": 0.6, "m-single": 0.4},
        replicates=1,
        folds=1,
        trait_names=["a", "b", "c"],
        only={"m-single": ["c"]},
    )
    scores = score(cells, pooled=True, resamples=50)
    board = leaderboard(scores)
    table = single_vs_multi(board, comparison=compare(scores), pairs=[("m", "m-single")])
    assert table["trait"].tolist() == ["mean", "c"]
    assert table["r2_multi"][0] == table["r2_multi"][1]
    np.testing.assert_allclose(table["difference"], table["r2_multi"] - table["r2_single"])
