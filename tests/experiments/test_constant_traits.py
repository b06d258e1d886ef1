"""A trait that does not vary in a training set is found before anything is trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from crosstrait.errors import SettingsError
from crosstrait.experiments.driver import run_experiment
from crosstrait.experiments.file import read_experiment
from crosstrait.experiments.trainings import run_trainings
from crosstrait.panel import from_arrays
from crosstrait.panel.schema import Panel
from crosstrait.panel.storage import save_panel
from crosstrait.split import from_ids

NAMES = ["height", "flat", "seldom", "yield"]
TEXT = """
[data]
panel = "cross.zarr"
[split]
scheme = "group"
folds = 2
validation = 0.0
[[model]]
type = "ridge"
"""


def a_panel() -> Panel:
    """40 samples of two families; in the second "flat" is constant and "seldom" not measured."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(40, 4))
    values[20:, 1] = 3.0
    values[20:, 2] = np.nan
    return from_arrays(
        rng.integers(0, 2, size=(40, 8)).astype(np.float32),
        trait_value=values,
        trait_names=NAMES,
        sample_group=[f"family_{k // 20}" for k in range(40)],
    )


def refused(folder: Path, text: str = TEXT) -> str:
    save_panel(a_panel(), folder / "cross.zarr")
    (folder / "e.toml").write_text(text)
    with pytest.raises(SettingsError) as caught:
        run_experiment(read_experiment(folder / "e.toml"), out=folder / "out")
    assert list((folder / "out").rglob("DONE")) == []
    return str(caught.value)


def test_it_is_named_with_its_value_the_fold_and_the_traits_that_are_left(tmp_path: Path) -> None:
    message = refused(tmp_path)
    assert "trait 'flat' is 3 in all 20 measured of the 20 training samples of fold " in message
    assert "trait 'seldom' is measured in none of the 20 training samples of fold " in message
    assert message.endswith('leave them out; in [data] use: traits = ["height", "yield"]')


def test_a_model_that_names_it_is_told_too(tmp_path: Path) -> None:
    own = '[[model]]\ntype = "lasso"\ntraits = ["flat", "yield"]\n'
    text = TEXT.replace("[split]", 'traits = ["height", "flat", "yield"]\n[split]') + own
    message = refused(tmp_path, text)
    assert (
        'use: traits = ["height", "yield"], and leave it out of the traits of model lasso'
        in message
    )


def test_traits_that_no_model_learns_may_be_as_they_are(tmp_path: Path) -> None:
    save_panel(a_panel(), tmp_path / "cross.zarr")
    (tmp_path / "e.toml").write_text(TEXT + 'traits = ["height", "yield"]\n')
    result = run_experiment(read_experiment(tmp_path / "e.toml"), out=tmp_path / "out")
    assert not result.failures


def test_cells_that_are_hidden_from_learning_do_not_count(tmp_path: Path) -> None:
    panel = a_panel()
    names = panel["sample_id"].values.tolist()
    split = from_ids(train=names[:30], test=names[30:])
    hidden = split.without(tuple((name, ("flat",)) for name in names[:20]))
    traits = ["height", "flat"]
    assert run_trainings([("ridge", None)], panel=panel, split=split, out=tmp_path, traits=traits)
    with pytest.raises(SettingsError, match=r"is 3 in all 10 measured of the 30 .* of fold 1 "):
        run_trainings(
            [("ridge", None)], panel=panel, split=[split, hidden], out=tmp_path, traits=traits
        )


def test_where_no_trait_is_left_another_split_is_advised(tmp_path: Path) -> None:
    message = refused(tmp_path, TEXT.replace("[split]", 'traits = ["flat"]\n[split]'))
    assert "no trait is left; use a split whose folds have samples that differ" in message
