"""Intervals where whole groups were tested."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from crosstrait.errors import DataError
from crosstrait.evaluation import bootstrap
from crosstrait.evaluation.bootstrap import ObservedSums, resample_counts
from crosstrait.evaluation.ceiling import noise_ceiling
from crosstrait.evaluation.cells import concat_cells, make_cells
from crosstrait.evaluation.comparison import compare
from crosstrait.evaluation.groups import GroupedRows
from crosstrait.evaluation.leaderboard import leaderboard
from crosstrait.evaluation.metrics import pearson_r, r2, rmse
from crosstrait.evaluation.scores import score
from support.predictions import predictions, trait_values

MODELS = {"ridge": 0.4, "trees": 0.5}
IDS = [f"S{i:04d}" for i in range(60)]
FAMILIES = {name: f"F{i % 9}" for i, name in enumerate(IDS)}


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    return trait_values(60, n_traits=3, missing=0.1, seed=2)


@pytest.fixture(scope="module")
def cells(values: np.ndarray) -> pd.DataFrame:
    return predictions(values, accuracy=MODELS, replicates=2, folds=3)


def tables(cells: pd.DataFrame, groups: dict[str, str] | None, **options) -> list[pd.DataFrame]:
    scores = score(cells, groups=groups, resamples=50, **options)
    return [leaderboard(scores), compare(scores)]


def test_sums_give_the_scores_of_the_drawn_groups(values: np.ndarray) -> None:
    predicted = np.nan_to_num(values) + np.random.default_rng(4).normal(size=values.shape)
    errors = np.where(np.isnan(values), np.nan, 0.4)
    member = np.arange(60) % 9
    groups = GroupedRows(member, n_groups=9)
    (counts,) = resample_counts(9, resamples=20, seed=0)
    sums = ObservedSums.over(counts, values, groups=groups)
    found, ceiling = sums.scores(counts, values, predicted), sums.ceiling(counts, errors)
    for b, drawn in enumerate(counts.astype(int)):
        rows = np.repeat(np.arange(60), drawn[member])
        for name, metric in (("r2", r2), ("pearson_r", pearson_r), ("rmse", rmse)):
            expected = metric(values[rows], predicted=predicted[rows])
            np.testing.assert_allclose(found[name][b], expected, rtol=1e-9)
        expected = noise_ceiling(values[rows], standard_error=errors[rows])
        np.testing.assert_allclose(ceiling[b], expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("folds", "pooled", "rtol"),
    [(1, True, 0.0), (3, False, 0.0), (3, True, 1e-12)],  # pooled folds are added up in turn
)
def test_groups_of_one_sample_give_exactly_the_numbers_of_samples(
    values: np.ndarray, folds: int, pooled: bool, rtol: float
) -> None:
    cells = predictions(values, accuracy=MODELS, replicates=2, folds=folds)
    cells["sample"] = pd.Categorical(cells["sample"].astype(str), categories=IDS)
    alone = {name: f"family of {name}" for name in IDS}
    for by_sample, by_group in zip(
        tables(cells, None, pooled=pooled), tables(cells, alone, pooled=pooled), strict=True
    ):
        pd.testing.assert_frame_equal(by_group, by_sample, rtol=rtol, atol=rtol)


def test_the_order_of_cells_and_samples_changes_nothing(cells: pd.DataFrame) -> None:
    shuffled = cells.sample(frac=1, random_state=0).reset_index(drop=True)
    order = shuffled["sample"].astype(str).unique()
    shuffled["sample"] = pd.Categorical(shuffled["sample"].astype(str), categories=order)
    shuffled["model"] = pd.Categorical(shuffled["model"].astype(str), categories=list(MODELS))
    assert order.tolist() != IDS
    for one, other in zip(
        tables(cells, FAMILIES, pooled=True), tables(shuffled, FAMILIES, pooled=True), strict=True
    ):
        keys = ["model", "trait", "metric"]
        one, other = (table.sort_values(keys).reset_index(drop=True) for table in (one, other))
        pd.testing.assert_frame_equal(one, other, rtol=1e-9, atol=1e-12)


def test_other_names_of_groups_change_nothing(cells: pd.DataFrame) -> None:
    renamed = {name: f"{9 - int(family[1:])} ä" for name, family in FAMILIES.items()}
    for one, other in zip(tables(cells, FAMILIES), tables(cells, renamed), strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)


def test_draws_are_the_same_for_all_models(cells: pd.DataFrame) -> None:
    both = pd.concat([cells, cells[cells["model"] == "ridge"].assign(model="copy")])
    table = compare(score(both, groups=FAMILIES, pooled=True, resamples=20))
    mine = table[(table[["model", "other"]] != "trees").all(axis=1)]
    assert set(mine["metric"]) == {"r2", "pearson_r", "rmse", "r_within"}
    assert (mine[["difference", "ci_low", "ci_high"]] == 0).all(axis=None)


def test_chunks_of_resamples_change_nothing(cells: pd.DataFrame, monkeypatch) -> None:
    whole = score(cells, groups=FAMILIES, resamples=20).resampled
    monkeypatch.setattr(bootstrap, "_CHUNK_COUNTS", 9 * 3)
    for metric, draws in score(cells, groups=FAMILIES, resamples=20).resampled.items():
        np.testing.assert_allclose(draws, whole[metric])


def test_scores_do_not_depend_on_what_is_resampled(cells: pd.DataFrame) -> None:
    by_sample, by_group = tables(cells, None)[0], tables(cells, FAMILIES)[0]
    by_group = by_group[by_group["metric"] != "r_within"].reset_index(drop=True)
    same = ["model", "trait", "metric", "mean", "sd", "n_replicates", "n_cells"]
    pd.testing.assert_frame_equal(by_group[same], by_sample[same])
    assert not np.allclose(by_group["ci_low"], by_sample["ci_low"])


def test_the_share_of_the_ceiling_is_resampled_by_group_too(cells: pd.DataFrame) -> None:
    errors = pd.DataFrame(0.5, index=IDS, columns=["trait_0", "trait_1", "trait_2"])
    by_sample, by_group = (
        score(cells, groups=groups, trait_se=errors, resamples=20) for groups in (None, FAMILIES)
    )
    a, b = by_sample.resampled["r2_of_ceiling"], by_group.resampled["r2_of_ceiling"]
    assert np.isfinite(b).all()
    assert not np.allclose(a, b)


def test_r_within_is_a_metric_of_the_leaderboard_that_counts_its_own_cells(
    values: np.ndarray, cells: pd.DataFrame
) -> None:
    few = {name: "alone" if i < 4 else FAMILIES[name] for i, name in enumerate(IDS)}
    scores = score(cells, groups=few, pooled=True, resamples=200)
    board = leaderboard(scores).set_index(["model", "trait", "metric"])
    one = board.loc[("trees", "trait_1", "r_within")]
    assert one["ci_low"] < one["mean"] < one["ci_high"]
    family = np.array([few[name] for name in IDS])
    measured = ~np.isnan(values[:, 1])
    sizes = [(measured & (family == name)).sum() for name in np.unique(family)]
    assert one["n_cells"] == sum(size for size in sizes if size >= 5) < measured.sum()
    assert board.loc[("trees", "mean", "r_within"), "mean"] == pytest.approx(
        scores.by_unit["r_within"]["trees"].mean()
    )
    assert list(dict.fromkeys(board.reset_index()["model"])) == ["trees", "ridge"]


def test_without_groups_large_enough_r_within_is_absent(cells: pd.DataFrame) -> None:
    pairs = {name: f"F{i // 2}" for i, name in enumerate(IDS)}
    for table in tables(cells, pairs, pooled=True):
        assert "r_within" not in set(table["metric"])


def test_without_groups_nothing_is_new(cells: pd.DataFrame) -> None:
    scores = score(cells, resamples=5)
    assert scores.metrics == ("r2", "pearson_r", "rmse")
    assert (scores.n_samples, scores.n_groups) == (60, None)
    assert score(cells, groups=FAMILIES, resamples=5).n_groups == 9


def test_a_sample_without_a_group_is_refused(cells: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="1 scored samples have none: S0007"):
        score(cells, groups={name: f for name, f in FAMILIES.items() if name != "S0007"})


def with_shared_errors(n_sets: int, *, n_families: int, size: int) -> tuple[pd.DataFrame, dict]:
    """Data sets, one a trait, of families whose members share signal, noise and errors."""
    rng = np.random.default_rng(1)
    family = np.repeat(np.arange(n_families), size)

    def drawn(shared: float, own: float) -> np.ndarray:
        of_family = rng.normal(size=(n_families, n_sets))[family]
        return np.sqrt(shared) * of_family + np.sqrt(own) * rng.normal(size=(len(family), n_sets))

    signal = drawn(0.3, 0.5)
    observed = signal + drawn(0.3, 0.7)
    ids = [f"S{i:04d}" for i in range(len(family))]
    by_model = {"good": signal, "bad": signal + drawn(0.2, 0.2)}
    cells = concat_cells(
        make_cells(
            observed,
            predicted=predicted,
            sample_id=ids,
            trait_names=[f"set_{j}" for j in range(n_sets)],
            model=model,
        )
        for model, predicted in by_model.items()
    )
    return cells, dict(zip(ids, family.astype(str), strict=True))


def test_90_percent_intervals_cover_the_truth_by_group_and_not_by_sample() -> None:
    r2_good, r2_bad = 1 - 1.0 / 1.8, 1 - 1.4 / 1.8
    cells, groups = with_shared_errors(200, n_families=30, size=10)
    covered = {}
    for unit, of in (("sample", None), ("group", groups)):
        scores = score(cells, groups=of, resamples=300)
        board, pairs = (
            table[(table["metric"] == "r2") & (table["trait"] != "mean")]
            for table in (leaderboard(scores, confidence=0.9), compare(scores, confidence=0.9))
        )
        good = board[board["model"] == "good"]
        assert (pairs["model"] == "good").all()
        covered[unit] = [
            ((rows["ci_low"] < truth) & (truth < rows["ci_high"])).mean()
            for rows, truth in ((good, r2_good), (pairs, r2_good - r2_bad))
        ]
    assert max(covered["sample"]) < 0.77  # 0.73 and 0.64
    assert min(covered["group"]) > 0.80  # 0.89 and 0.82
    assert np.mean(covered["group"]) > np.mean(covered["sample"]) + 0.12
