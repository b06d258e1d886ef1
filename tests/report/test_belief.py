"""Reasons to believe the answer, and to doubt it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crosstrait.experiments.audit import audit
from crosstrait.panel import from_arrays
from crosstrait.report.answer import find_answer
from crosstrait.report.belief import Reason, reasons, unfinished
from crosstrait.report.folder import RunFolder, RunRecord
from crosstrait.split import from_ids
from support.run_folder import write_more_tables, write_run_folder


def found(folder: Path) -> dict[str, Reason]:
    read = RunFolder.read(folder)
    answer = find_answer(read.leaderboard, comparison=read.comparison)
    every = reasons(
        answer,
        comparison=read.comparison,
        calibration=read.calibration,
        runs=read.runs,
        experiment=read.experiment,
    )
    return {reason.section: reason for reason in every if reason.claim != "It was repeated"}


@pytest.fixture(scope="module")
def clear(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Reason]:
    folder = write_run_folder(tmp_path_factory.mktemp("clear"), resamples=50)
    return found(write_more_tables(folder))


def test_a_clear_lead_speaks_for_the_answer(clear: dict[str, Reason]) -> None:
    assert clear["leaderboard"].kind == "for"
    assert "over trees" in clear["leaderboard"].text


def test_a_lead_that_may_be_zero_speaks_against_it(tmp_path: Path) -> None:
    close = {"ridge": 0.4, "trees": 0.4}
    folder = write_run_folder(tmp_path, accuracy=close, n_samples=60, resamples=50)
    reason = found(folder)["leaderboard"]
    assert reason.kind == "caution"
    assert "prefer the cheaper" in reason.text


def test_traits_are_counted_against_both_rivals(clear: dict[str, Reason]) -> None:
    assert clear["traits"].text == (
        "Above trees on 3 of 3 traits, surely on 3; above ridge on 3 of 3 traits, surely on 3."
    )
    assert clear["traits"].kind == "for"


def test_a_trait_on_which_it_surely_loses_is_counted(tmp_path: Path) -> None:
    folder = write_run_folder(tmp_path, resamples=50)
    table = pd.read_csv(folder / "comparison.csv")
    lost = (table["other"] == "trees") & (table["trait"] == "x4NQO") & (table["metric"] == "r2")
    assert lost.sum() == 1
    table.loc[lost, ["difference", "ci_low", "ci_high"]] = [-0.1, -0.2, -0.05]
    table.to_csv(folder / "comparison.csv", index=False)
    reason = found(folder)["traits"]
    assert reason.kind == "caution"
    assert "above trees on 2 of 3 traits, surely on 2, surely below on 1" in reason.text.lower()


def test_the_split_is_told_in_samples(clear: dict[str, Reason], tmp_path: Path) -> None:
    assert "each of the 200 samples was tested once, in 2 folds" in clear["split"].text
    apart = write_run_folder(tmp_path, pooled=False, folds=2, resamples=20)
    assert "100 of 200 samples were tested in each of 2 splits" in found(apart)["split"].text


def test_one_training_of_networks_is_a_caution(tmp_path: Path) -> None:
    once = found(write_run_folder(tmp_path / "once", replicates=1, folds=1, resamples=20))
    assert once["provenance"].kind == "caution"
    plain = {"ridge": 0.4, "trees": 0.5}
    folder = write_run_folder(tmp_path / "plain", replicates=1, accuracy=plain, resamples=20)
    assert "provenance" not in found(folder)


def test_intervals_that_hold_and_that_do_not(clear: dict[str, Reason], tmp_path: Path) -> None:
    folder = write_more_tables(write_run_folder(tmp_path, resamples=20))
    table = pd.read_csv(folder / "calibration.csv")
    for shift, claim in ((-0.08, "narrow"), (0.04, "wide"), (0.0, "hold")):
        table["coverage"] = table["level"] + shift
        table.to_csv(folder / "calibration.csv", index=False)
        reason = found(folder)["calibration"]
        assert claim in reason.claim
        assert (reason.kind == "for") == (claim == "hold")


def run(model: str, *losses: list[float]) -> RunRecord:
    history = pd.concat(
        pd.DataFrame(
            {
                "epoch": range(1, len(loss) + 1),
                "train_loss": 1.0,
                "val_loss": loss,
                "member": str(k),
            }
        )
        for k, loss in enumerate(losses)
    )
    return RunRecord(
        model=model,
        replicate=0,
        fold=0,
        seed=0,
        key="00",
        train_seconds=1.0,
        metrics={},
        history=history,
    )


def test_a_model_most_of_whose_networks_were_best_at_the_last_epoch_is_unfinished() -> None:
    falling, risen = [3.0, 2.0, 1.0], [3.0, 1.0, 2.0]
    assert unfinished([run("a", falling, falling, risen), run("b", falling, risen)]) == ["a"]
    assert unfinished([run("a", [1.0])]) == []
    unwatched = replace(run("a", falling), history=run("a", falling).history.assign(val_loss=None))
    assert unfinished([unwatched]) == []


def write_coverage(folder: Path, *, off: dict[tuple[str, float], float]) -> None:
    """Have every coverage at its level, but for those of ``off`` by (trait, level)."""
    table = pd.read_csv(folder / "calibration.csv")
    at = zip(table["trait"], table["level"], strict=True)
    table["coverage"] = [level + off.get((trait, level), 0.0) for trait, level in at]
    table.to_csv(folder / "calibration.csv", index=False)


def test_every_level_and_the_worst_trait_are_judged(tmp_path: Path) -> None:
    folder = write_more_tables(write_run_folder(tmp_path, resamples=20, n_samples=600))
    for off, claim in (
        ({}, "Its intervals hold"),
        ({("mean", 0.5): -0.1}, "Its intervals are narrow"),
        ({("mean", 0.5): 0.1, ("mean", 0.95): -0.05}, "wide at one level and narrow at another"),
        ({("x4NQO", 0.8): -0.15}, "Its intervals do not hold on every trait"),
    ):
        write_coverage(folder, off=off)
        reason = found(folder)["calibration"]
        assert claim in reason.claim
        assert (reason.kind == "for") == (not off)
    text = reason.text.replace("\xa0", " ")
    assert "80.0 % and 50.0 % of the test cells lie in its 95 %, 80 % and 50 % intervals" in text
    assert "x4NQO, with 65.0 % in those of 80 %, more than the sampling of its cells" in text


def test_a_winner_that_is_no_better_than_the_mean_is_no_win(tmp_path: Path) -> None:
    folder = write_run_folder(tmp_path, resamples=50)
    table = pd.read_csv(folder / "leaderboard.csv")
    means = (table["trait"] == "mean") & (table["metric"] == "r2")
    table.loc[means, ["mean", "ci_low", "ci_high"]] -= 0.6
    table.to_csv(folder / "leaderboard.csv", index=False)
    every = found(folder)
    assert every["leaderboard"].kind == "caution"
    assert every["leaderboard"].claim == "No model is better than predicting the mean"
    assert "it lies below zero" in every["leaderboard"].text
    assert "traits" not in every


def test_traits_of_which_none_is_sure_do_not_speak_for_it(tmp_path: Path) -> None:
    folder = write_run_folder(tmp_path, resamples=50)
    table = pd.read_csv(folder / "comparison.csv")
    at = (table["other"] == "trees") & (table["trait"] != "mean") & (table["metric"] == "r2")
    table.loc[at, ["ci_low", "ci_high"]] = [-0.1, 0.2]
    table.loc[at, "difference"] = [0.01, 0.02, -0.01]
    table.to_csv(folder / "comparison.csv", index=False)
    reason = found(folder)["traits"]
    assert (reason.kind, reason.claim) == ("caution", "No single trait decides for it")
    assert "trees on 2 of 3 traits, surely on 0" in reason.text
    table.loc[at, "ci_low"] = [0.005, -0.1, -0.1]
    table.to_csv(folder / "comparison.csv", index=False)
    reason = found(folder)["traits"]
    assert (reason.kind, reason.claim) == ("for", "No trait surely speaks against it")


def test_what_the_audit_found_on_both_sides_of_a_split_is_a_caution(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    dosage = rng.integers(0, 2, size=(200, 40)).astype(np.float32)
    dosage[1] = dosage[0]
    groups = [f"family_{k // 50}" for k in range(200)]
    folder = write_run_folder(tmp_path, resamples=20)
    about = json.loads((folder / "experiment.json").read_text())
    for settings, kind, words in (
        ({}, "caution", "1 of 40 tests are of a sample that is nearly equal"),
        ({"sample_group": groups}, "caution", "groups have samples in training and in test"),
    ):
        values = rng.normal(size=(200, 1))
        panel = from_arrays(dosage, trait_value=values, trait_names=["a"], **settings)
        names = panel["sample_id"].values.tolist()
        split = from_ids(train=[names[0], *names[41:]], test=names[1:41])
        about["audit"] = audit(panel, [split], traits=["a"])
        (folder / "experiment.json").write_text(json.dumps(about))
        reason = found(folder)["split"]
        assert reason.kind == kind
        assert reason.claim == "Tested on what is close to what it learned from"
        assert words in reason.text
