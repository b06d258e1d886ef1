"""Reasons to believe the answer, and to doubt it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from crosstrait.report.answer import find_answer
from crosstrait.report.belief import Reason, reasons, unfinished
from crosstrait.report.folder import RunFolder, RunRecord
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
