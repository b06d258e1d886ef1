from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from crosstrait.errors import CrosstraitError, LostError, SettingsError
from crosstrait.experiments.cache import RunCache
from crosstrait.experiments.driver import Result, run_experiment
from crosstrait.experiments.file import Experiment, parse_experiment, read_experiment
from crosstrait.experiments.plan import plan
from crosstrait.experiments.run import Workplace
from crosstrait.experiments.search import carry_out_search, search_folder
from crosstrait.experiments.searches import Search, inner_splits, plan_searches, with_answer
from crosstrait.experiments.trials import Trial, best_of, read_trials, write_trial
from crosstrait.experiments.tune_table import TuneConfig
from crosstrait.panel import from_arrays
from crosstrait.panel.schema import Panel
from crosstrait.split import cells, from_ids, group, random
from crosstrait.split.manifest import Split
from support.experiments import write_tiny

pytest.importorskip("optuna")

TUNED = """
[data]
panel = "cross.zarr"
[split]
scheme = "kfold"
folds = 2
[train]
max_epochs = 2
device = "cpu"
[tune]
trials = 3
[[model]]
type = "ridge"
[[model]]
type = "trees"
max_rounds = 20
min_samples_leaf = 3
[[model]]
type = "canonical"
embedding_dim = 4
n_layers = 1
[[model]]
type = "canonical"
name = "plain"
tune = false
"""


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Result:
    folder = tmp_path_factory.mktemp("tuned")
    return run_experiment(read_experiment(write_tiny(folder, text=TUNED)), out=folder / "out")


def experiment(models: list[dict[str, Any]] | None = None, **tune: Any) -> Experiment:
    trees = {"type": "trees", "max_rounds": 15, "min_samples_leaf": 3}
    values = {
        "data": {"panel": "arrays"},
        "tune": {"trials": 4, **tune},
        "model": [trees] if models is None else models,
    }
    return parse_experiment(values, name="x", folder=Path(), where="x")


def a_cross(n: int = 60, **changes: Any) -> Panel:
    rng = np.random.default_rng(0)
    dosage = rng.integers(0, 2, size=(n, 8)).astype(np.float32)
    trait_value = dosage @ rng.normal(size=(8, 2)) + rng.normal(size=(n, 2)) * 0.3
    trait_value[40:] *= changes.pop("scale_of_test", 1.0)
    dosage[40:] = changes.pop("test_genotypes", dosage[40:])
    return from_arrays(dosage, trait_value=trait_value, trait_names=["a", "b"], **changes)


def first_40_learn() -> Split:
    names = [f"sample_{i}" for i in range(60)]
    return from_ids(train=names[:34], validation=names[34:40], test=names[40:])


def prepared(folder: Path, *, panel: Panel | None = None, **tune: Any) -> tuple[Search, Workplace]:
    panel, split = a_cross() if panel is None else panel, first_40_learn()
    asked = experiment(**tune)
    [search] = plan_searches(asked, plan(asked, panel=panel, splits=[split]))
    return search, Workplace(panel=panel, splits=(split,), cache=RunCache(folder / "runs"))


def found(search: Search, at: Workplace) -> list[tuple[dict[str, Any], float | None]]:
    carry_out_search(search, at=at)
    trials = read_trials(search_folder(search, at=at))
    return [(dict(trial.settings), trial.score) for trial in trials]


def test_every_model_that_has_something_to_search_gets_the_same_budget(tuned: Result) -> None:
    table = pd.read_csv(tuned.folder / "tuning.csv")
    trials = table.dropna(subset=["trial"]).groupby(["model", "fold"])
    assert trials.size().to_dict() == {
        (model, fold): 3 for model in ("trees", "canonical") for fold in (0, 1)
    }
    assert (trials["chosen"].sum() == 1).all()
    others = table[table["trial"].isna()].groupby("model")["note"].first()
    assert others["ridge"].startswith("nothing to search")
    assert others["plain"] == "not tuned (tune = false)"


def test_a_run_is_trained_with_what_its_search_chose(tuned: Result) -> None:
    table = pd.read_csv(tuned.folder / "tuning.csv")
    for _, row in table[table["chosen"].astype(str) == "True"].iterrows():
        config = next(
            json.loads((folder / "config.json").read_text())
            for folder in (tuned.folder / "runs").glob(f"{row['model']}-*")
            if json.loads((folder / "provenance.json").read_text())["fold"] == row["fold"]
        )
        for name, value in json.loads(row["settings"]).items():
            table_of, _, setting = name.rpartition(".")
            assert config[table_of or "model"][setting] == value


def test_settings_that_the_file_gives_are_not_searched(tuned: Result) -> None:
    table = pd.read_csv(tuned.folder / "tuning.csv").dropna(subset=["trial"])
    searched = {
        model: set(json.loads(rows["settings"].iloc[0])) for model, rows in table.groupby("model")
    }
    assert searched["trees"] == {
        "num_leaves",
        "learning_rate",
        "row_fraction",
        "column_fraction",
    }
    assert not {"embedding_dim", "n_layers", "train.max_epochs"} & searched["canonical"]
    assert {"dropout", "train.learning_rate"} <= searched["canonical"]


def test_the_report_says_how_each_model_was_tuned(tuned: Result) -> None:
    about = json.loads((tuned.folder / "experiment.json").read_text())
    assert [note for note in about["audit"] if note in tuned.tuning] == list(tuned.tuning)
    text = " ".join(tuned.tuning)
    assert "3 trials" in text
    assert "ridge: nothing to search" in text
    assert "trees: tuned, 3 trials a split" in text


def test_a_second_pass_searches_and_trains_nothing(tuned: Result) -> None:
    before = {path: path.stat().st_mtime_ns for path in tuned.folder.glob("tuning/*/*")}
    asked = read_experiment(tuned.folder.parent / "tiny.toml")
    again = run_experiment(asked, out=tuned.folder)
    assert (again.n_trained, again.n_cached) == (0, tuned.n_trained)
    assert {path: path.stat().st_mtime_ns for path in tuned.folder.glob("tuning/*/*")} == before


@pytest.mark.parametrize("poison", [np.nan, 1e30, -7.5])
def test_test_cells_never_reach_the_search(tmp_path: Path, poison: float) -> None:
    clean = found(*prepared(tmp_path / "clean"))
    spoilt = found(*prepared(tmp_path / "spoilt", panel=a_cross(scale_of_test=poison)))
    assert clean == spoilt


def test_test_genotypes_never_reach_the_search(tmp_path: Path) -> None:
    other = np.random.default_rng(1).integers(0, 2, size=(20, 8)).astype(np.float32)
    clean = found(*prepared(tmp_path / "clean"))
    assert found(*prepared(tmp_path / "other", panel=a_cross(test_genotypes=other))) == clean


@pytest.mark.parametrize("done", [1, 3])
def test_a_killed_search_goes_on_as_if_nothing_had_happened(tmp_path: Path, done: int) -> None:
    search, at = prepared(tmp_path / "whole", trials=14)  # beyond the sampler's random start
    whole = found(search, at)
    kept = read_trials(search_folder(search, at=at))[:done]
    search, at = prepared(tmp_path / "killed", trials=14)
    for number, trial in enumerate(kept):
        write_trial(search_folder(search, at=at), number, trial)
    before = (search_folder(search, at=at) / "trial-0000.json").stat().st_mtime_ns
    assert found(search, at) == whole
    assert (search_folder(search, at=at) / "trial-0000.json").stat().st_mtime_ns == before


def test_trials_of_another_sampler_are_tried_anew(tmp_path: Path) -> None:
    search, at = prepared(tmp_path)
    whole = found(search, at)
    folder = search_folder(search, at=at)
    write_trial(folder, 2, Trial(settings={"num_leaves": 2}, score=9.0, seconds=0.1))
    assert found(search, at) == whole


def test_a_damaged_trial_is_tried_again(tmp_path: Path) -> None:
    search, at = prepared(tmp_path)
    whole = found(search, at)
    (search_folder(search, at=at) / "trial-0001.json").write_text("{")
    assert found(search, at) == whole


def test_more_trials_go_on_from_fewer_and_fewer_choose_among_the_first(tmp_path: Path) -> None:
    few = found(*prepared(tmp_path, trials=2))
    search, at = prepared(tmp_path, trials=5)
    many = found(search, at)
    assert many[:2] == few
    shorter, _ = prepared(tmp_path, trials=2)
    stored = read_trials(search_folder(shorter, at=at))
    assert len(stored) == 5
    assert shorter.ended(stored)
    assert shorter.within_budget(stored) == stored[:2]


def test_no_trial_begins_after_the_seconds_are_used_up(tmp_path: Path) -> None:
    search, at = prepared(tmp_path, trials=50, seconds=1e-9)
    assert len(found(search, at)) == 1
    assert search.ended(read_trials(search_folder(search, at=at)))


def test_a_time_budget_that_ends_a_search_early_is_said(tmp_path: Path) -> None:
    text = TUNED.replace("trials = 3", "trials = 3\nseconds = 1e-9")
    result = run_experiment(read_experiment(write_tiny(tmp_path, text=text)), out=tmp_path / "out")
    assert "trees: tuned, 1 trials a split, ended early by its time" in " ".join(result.tuning)


def test_the_first_trial_is_the_file_and_wins_ties() -> None:
    trials = [Trial(settings={"a": i}, score=0.5, seconds=1.0) for i in range(3)]
    assert best_of(trials) is trials[0]
    assert best_of([Trial(settings={}, score=None, seconds=1.0, message="nan")]) is None


def test_settings_that_are_those_of_the_file_are_the_run_of_the_file(tmp_path: Path) -> None:
    search, _ = prepared(tmp_path)
    assert with_answer(search.first, search.default()).key == search.first.key
    other = with_answer(search.first, {"num_leaves": 3})
    assert other.key != search.first.key
    assert other.config.model_dump()["num_leaves"] == 3


def test_inner_parts_hold_learning_samples_only_and_score_each_once() -> None:
    panel, split = a_cross(), first_40_learn()
    parts = inner_splits(split, panel=panel, tune=TuneConfig(folds=4))
    assert len(parts) == 4
    assert sorted(s for part in parts for s in part.test) == sorted(split.train + split.validation)
    for part in parts:
        assert not {*part.train, *part.validation, *part.test} & set(split.test)
        # 6 of 40 validate outside: 15 % of those that learn.
        assert len(part.validation) == round(0.15 * 30)
    [holdout] = inner_splits(split, panel=panel, tune=TuneConfig())
    assert len(holdout.test) == 8


def test_inner_parts_keep_groups_together_where_the_split_does() -> None:
    panel = a_cross(sample_group=[f"family {i % 6}" for i in range(60)])
    split = group(panel, folds=3)[0]
    place = dict(zip(panel["sample_id"].values, panel["sample_group"].values, strict=True))
    [part] = inner_splits(split, panel=panel, tune=TuneConfig())
    families = [{place[s] for s in ids} for ids in (part.train, part.validation, part.test)]
    assert not families[0] & families[2]
    assert not families[1] & families[2]
    assert part.test


def test_a_search_neither_learns_from_held_out_cells_nor_scores_them(tmp_path: Path) -> None:
    panel = a_cross()
    split = cells(panel, test=0.4)
    secret = panel["trait_value"].values.copy()
    secret[split.tested(panel)] = 1e6
    other = from_arrays(panel["call_dosage"].values, trait_value=secret, trait_names=["a", "b"])
    trials = []
    for name, values in (("ours", panel), ("theirs", other)):
        search, _ = prepared(tmp_path / name)
        cache = RunCache(tmp_path / name / "runs")
        at = Workplace(panel=values, splits=(split,), cache=cache)
        carry_out_search(search, at=at)
        trials.append(found(search, at))
    assert trials[0] == trials[1]


def test_a_split_without_validation_samples_has_none_inside() -> None:
    panel = a_cross()
    split = random(panel, validation=0.0)
    [part] = inner_splits(split, panel=panel, tune=TuneConfig())
    assert part.validation == ()


def test_a_training_that_fails_is_a_trial_without_a_score(tmp_path: Path) -> None:
    rate = {"learning_rate": 1e30, "max_epochs": 1, "device": "cpu"}
    asked = experiment([{"type": "canonical", "embedding_dim": 4, "train": rate}], trials=2)
    panel, split = a_cross(), first_40_learn()
    [search] = plan_searches(asked, plan(asked, panel=panel, splits=[split]))
    at = Workplace(panel=panel, splits=(split,), cache=RunCache(tmp_path / "runs"))
    with pytest.raises(CrosstraitError, match="none of 2 trials of canonical could be scored"):
        carry_out_search(search, at=at)
    trials = read_trials(search_folder(search, at=at))
    assert [trial.score for trial in trials] == [None, None]
    assert "not finite" in trials[0].message


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        (MemoryError(), True),
        (np.linalg.LinAlgError("singular"), True),
        (LostError("process 1 was killed"), False),
        (OSError("the network is down"), False),
    ],
)
def test_only_what_settings_are_to_blame_for_is_a_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, kept: bool
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("crosstrait.training.fit.fit_replicates", fails)
    asked = experiment([{"type": "trees"}], trials=1)
    panel, split = a_cross(), first_40_learn()
    [search] = plan_searches(asked, plan(asked, panel=panel, splits=[split]))
    at = Workplace(panel=panel, splits=(split,), cache=RunCache(tmp_path / "runs"))
    with pytest.raises(CrosstraitError if kept else type(error)):
        carry_out_search(search, at=at)
    assert len(read_trials(search_folder(search, at=at))) == kept


def test_a_smaller_budget_whose_trials_have_no_score_is_a_failed_search(tmp_path: Path) -> None:
    path = write_tiny(tmp_path, text=TUNED)
    first = run_experiment(read_experiment(path), out=tmp_path / "out")
    [trial, *_] = (first.folder / "tuning").glob("canonical-*/trial-0000.json")
    values = json.loads(trial.read_text())
    trial.write_text(json.dumps(values | {"score": None, "message": "not finite"}))
    again = run_experiment(read_experiment(path, changes=["tune.trials=1"]), out=tmp_path / "out")
    assert {failure.run.label for failure in again.failures} == {"canonical"}
    for path in (tmp_path / "out").glob("runs/*/provenance.json"):
        assert "search" not in json.loads(path.read_text())["key_parts"]


def test_runs_whose_search_failed_are_missing_and_the_others_are_scored(tmp_path: Path) -> None:
    text = TUNED.partition('[[model]]\ntype = "canonical"')[0] + (
        '[[model]]\ntype = "canonical"\n[model.train]\nlearning_rate = 1e30\n'
    )
    result = run_experiment(read_experiment(write_tiny(tmp_path, text=text)), out=tmp_path / "out")
    assert {failure.run.label for failure in result.failures} == {"canonical"}
    board = pd.read_csv(result.folder / "leaderboard.csv")
    assert {"ridge", "trees"} <= set(board["model"])
    about = json.loads((result.folder / "experiment.json").read_text())
    assert {run["model"] for run in about["missing_runs"]} == {"canonical"}


def test_without_optuna_one_line_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    asked = read_experiment(write_tiny(tmp_path, text=TUNED))
    with pytest.raises(
        SettingsError, match=r"tuning needs Optuna: pip install 'crosstrait\[tune\]'"
    ):
        run_experiment(asked, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("trials = 3", "trails = 3", "did you mean 'trials'"),
        ("trials = 3", "trials = 0", "trials = 0"),
        ("trials = 3", 'metric = "rmse"', "metric = 'rmse'"),
        ("tune = false", 'tune = "no"', "tune = 'no': true or false"),
    ],
)
def test_a_wrong_setting_is_refused(tmp_path: Path, before: str, after: str, problem: str) -> None:
    path = write_tiny(tmp_path, text=TUNED.replace(before, after))
    with pytest.raises(SettingsError, match=problem):
        read_experiment(path)


def test_tune_may_be_asked_for_without_a_table(tmp_path: Path) -> None:
    path = write_tiny(tmp_path, text=TUNED.replace("[tune]\ntrials = 3\n", ""))
    assert read_experiment(path).tune is None
    assert read_experiment(path, tune=True).tune == TuneConfig()
