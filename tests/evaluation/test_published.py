"""Published values are those of the articles."""

from __future__ import annotations

import pytest

from crosstrait.evaluation.published import published_means, published_r2


@pytest.mark.parametrize(
    ("model", "mean"), [("rijal", 0.605), ("canonical", 0.614), ("transformer", 0.619)]
)
def test_traits_average_to_the_mean_that_was_published(model: str, mean: float) -> None:
    table = published_r2()
    mine = table[table["model"] == model]
    assert len(mine) == 18
    assert mine["trait"].is_unique
    assert mine["r2"].mean() == pytest.approx(mean, abs=0.0006)


def test_the_table_of_means_agrees_with_the_traits() -> None:
    means = published_means()
    assert means["model"].tolist() == ["rijal", "rijal", "canonical", "transformer"]
    by_trait = published_r2().groupby("model")["r2"].mean()
    for model, mean in zip(means["model"], means["r2"], strict=True):
        assert mean == pytest.approx(by_trait[model], abs=0.0006)
    assert means["train_seconds"].dropna().tolist() == [167_400, 5_500, 24_200]


def test_values_stand_at_their_traits() -> None:
    r2 = published_r2().set_index(["model", "trait"])["r2"]
    assert r2["rijal", "ynb"] == 0.487
    assert r2["canonical", "23C"] == 0.633
    assert r2["transformer", "4NQO"] == 0.621
