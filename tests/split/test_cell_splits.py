from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crosstrait import split
from crosstrait.errors import DataError, SettingsError
from crosstrait.panel.schema import Panel, from_arrays
from crosstrait.split import Split, SplitConfig, draw
from crosstrait.training.preparation import prepare


def a_panel(n_samples: int = 200, *, missing: float = 0.2, seed: int = 0) -> Panel:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n_samples, 5))
    values[rng.random(values.shape) < missing] = np.nan
    return from_arrays(
        rng.integers(2, size=(n_samples, 30)), trait_value=values, trait_names=list("abcde")
    )


def measured(panel: Panel) -> np.ndarray:
    return ~np.isnan(panel["trait_value"].values)


def test_a_share_of_the_measured_cells_is_held_out_and_the_rest_learned_from() -> None:
    panel = a_panel()
    drawn = split.cells(panel, test=0.3, validation=0.1, seed=1)
    tested, learnable = drawn.tested(panel), drawn.learnable(panel)
    assert not (tested & ~measured(panel)).any()
    assert (tested ^ learnable).all()
    assert tested.sum() == pytest.approx(0.3 * measured(panel).sum(), rel=0.1)
    assert not drawn.test
    assert (len(drawn.train), len(drawn.validation)) == (180, 20)


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_every_sample_keeps_a_trait_to_learn_from(share: float) -> None:
    panel = a_panel()
    drawn = split.cells(panel, test=0.4, seed=2)
    hidden = split.hide(drawn, panel, share=share)
    learned = hidden.learnable(panel) & measured(panel)
    anything = measured(panel).any(axis=1)
    assert learned[anything].any(axis=1).all()


def test_a_larger_share_hides_more_of_the_same_and_tests_the_same_cells() -> None:
    panel = a_panel()
    for drawn in (split.cells(panel), split.random(panel)):
        small, large = (split.hide(drawn, panel, share=share, seed=3) for share in (0.3, 0.6))
        assert not (large.learnable(panel) & ~small.learnable(panel)).any()
        assert large.learnable(panel).sum() < small.learnable(panel).sum()
        assert (large.tested(panel) == drawn.tested(panel)).all()
        assert not (large.learnable(panel) & large.tested(panel)).any()


def test_nothing_that_is_held_out_or_hidden_reaches_a_model() -> None:
    panel = a_panel(missing=0)
    drawn = split.hide(split.cells(panel, test=0.2), panel, share=0.5)
    secret = panel["trait_value"].values.copy()
    secret[~drawn.learnable(panel)] = 1e6
    other = from_arrays(panel["call_dosage"].values, trait_value=secret, trait_names=list("abcde"))
    ours, theirs = prepare(panel, drawn), prepare(other, drawn)
    np.testing.assert_array_equal(ours.Y, theirs.Y)
    np.testing.assert_array_equal(ours.Y_validation, theirs.Y_validation)
    np.testing.assert_array_equal(ours.scaler.mean, theirs.scaler.mean)


def test_a_manifest_keeps_the_cells(tmp_path: Path) -> None:
    panel = a_panel()
    drawn = split.hide(split.cells(panel), panel, share=0.4)
    drawn.save(tmp_path / "split.json")
    assert split.from_file(tmp_path / "split.json") == drawn
    digests = {drawn.digest, replace(drawn, hidden=()).digest, replace(drawn, test_cells=()).digest}
    assert len(digests) == 3


def test_the_experiment_file_draws_them() -> None:
    panel = a_panel()
    config = SplitConfig.parse(
        {"scheme": "cells", "repeats": 2, "hide": 0.5, "seed": 7}, where="[split]"
    )
    drawn = draw(config, panel)
    assert [s.test_cells for s in drawn] == [
        split.cells(panel, seed=seed).test_cells for seed in (7, 8)
    ]
    assert all(s.hidden for s in drawn)
    folds = draw(SplitConfig.parse({"scheme": "kfold", "hide": 0.5}, where="[split]"), panel)
    assert all(s.pooled and s.hidden and not s.test_cells for s in folds)


def test_hidden_cells_stay_hidden_inside_a_search() -> None:
    panel = a_panel()
    outer = split.cells(panel, test=0.3)
    inner = split.random(panel, seed=5).without(outer.test_cells)
    assert not (inner.learnable(panel) & outer.tested(panel)).any()


def test_what_cannot_be_split_is_refused() -> None:
    panel = a_panel()
    ids = panel["sample_id"].values.tolist()
    for share in (0, 1, -0.1):
        with pytest.raises(SettingsError, match=f"test = {share!r}"):
            split.cells(panel, test=share)
    with pytest.raises(SettingsError, match="hide = 1"):
        split.hide(split.random(panel), panel, share=1)
    with pytest.raises(SettingsError, match=r"validation = 0\.999"):
        split.cells(panel, validation=0.999)
    one = from_arrays(
        np.arange(10)[:, None] % 2, trait_value=np.arange(10.0)[:, None], trait_names=["a"]
    )
    with pytest.raises(SettingsError, match="keeps a trait"):
        split.cells(one)
    with pytest.raises(DataError, match="these do neither: .*" + ids[3]):
        Split(train=tuple(ids[:2]), validation=(), test=(ids[3],), hidden=((ids[3], ("a",)),))
    strange = Split(train=tuple(ids[:2]), validation=(), test=(), test_cells=((ids[0], ("z",)),))
    with pytest.raises(DataError, match=r"not in the panel: .* z"):
        strange.tested(panel)
