"""Trait tables of each format."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from crosstrait.panel.traits import (
    ENVIRONMENTS,
    read_barcoded_cross,
    read_letters,
    read_split_folder,
    read_table,
)
from support.raw_cross import write_raw_cross
from support.tables import TRAITS


def test_a_table_keeps_samples_that_lack_any_or_all_traits(tmp_path: Path) -> None:
    path = tmp_path / "traits.csv"
    path.write_text(TRAITS + "s5,NA,-\n")
    traits = read_table(path)
    assert traits.name.tolist() == ["height", "yield"]
    assert traits.sample_id.tolist() == ["s1", "s2", "s3", "s4", "s5"]
    np.testing.assert_array_equal(
        traits.value, [[1.5, 10], [2.5, np.nan], [0.5, 12], [3.5, 11], [np.nan, np.nan]]
    )
    assert traits.standard_error is None


def test_letters_take_y_var_as_the_standard_error_it_is(tmp_path: Path) -> None:
    path = tmp_path / "qtls_li_hq.csv"
    path.write_text("seq,y,y_var\nAB,1.5,0.1\nAB,2.5,0.2\n")  # equal genotypes are two samples
    traits = read_letters(path)
    assert traits.name.tolist() == ["li"]
    assert traits.value.tolist() == [[1.5], [2.5]]
    assert traits.standard_error is not None
    assert traits.standard_error.tolist() == [[0.1], [0.2]]


def test_environments_come_in_the_published_order_and_are_joined_by_number(tmp_path: Path) -> None:
    environments = ("zzz", "4NQO", "li", "23C")
    tables = write_raw_cross(tmp_path, np.full((30, 2), 0.5), environments=environments)
    lines = (tmp_path / "pheno_data_li.txt").read_text().splitlines()
    (tmp_path / "pheno_data_li.txt").write_text("\n".join([lines[0], *lines[:1:-1]]) + "\n")
    traits = read_barcoded_cross(tmp_path)  # lithium: last segregant first, and without number 0
    assert traits.name.tolist() == ["23C", "li", "4NQO", "zzz"]
    order = np.argsort(traits.sample_id.astype(int))
    assert traits.sample_id[order].tolist() == [str(i) for i in range(30)]
    tables["li"][0] = np.nan
    assert traits.standard_error is not None
    for t, name in enumerate(traits.name):
        np.testing.assert_array_equal(traits.value[order, t], tables[name][:, 0])
        np.testing.assert_array_equal(traits.standard_error[order, t], tables[name][:, 1])


def test_the_split_folder_brings_its_split_and_the_18_traits(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    parts = {"train": 4, "valid": 2, "test": 3}
    values = {part: rng.normal(size=(n, 18)) for part, n in parts.items()}
    values["test"][0, 5] = np.nan
    for part, n in parts.items():
        np.save(tmp_path / f"geno_{part}.npy", np.zeros((n, 2)))
        np.save(tmp_path / f"pheno_{part}.npy", values[part])
    traits = read_split_folder(tmp_path)
    assert tuple(traits.name) == ENVIRONMENTS
    assert traits.sample_split is not None
    assert traits.sample_split.tolist() == ["train"] * 4 + ["validation"] * 2 + ["test"] * 3
    np.testing.assert_array_equal(traits.value, np.concatenate(list(values.values())))


def test_the_real_traits_have_the_holes_that_are_known_of(real_data: Path) -> None:
    traits = read_table(real_data / "byxrm" / "BYxRM_PhenoData.txt.gz")
    assert traits.value.shape == (1008, 46)
    assert {"YNB:ph3", "YPD:15C", "x4NQO"} <= set(traits.name)
    missing = np.isnan(traits.value)
    assert missing.mean() == pytest.approx(0.052, abs=5e-4)
    assert (~missing.any(axis=1)).sum() == 303


def test_the_raw_lithium_file_agrees_with_the_subset_made_of_it(real_data: Path) -> None:
    raw = read_barcoded_cross(real_data / "bbq_li")
    assert raw.value.shape == (99_950, 1)
    assert int(np.isnan(raw.value).sum()) == 1_856
    subset = read_letters(real_data / "bbq_li" / "qtls_li_hq.csv.gz")
    assert subset.value.var() == pytest.approx(0.0091, abs=5e-5)
    assert subset.standard_error is not None
    assert raw.standard_error is not None
    # The first rows of the subset are segregants 1, 2 and 4.
    np.testing.assert_allclose(subset.value[:2], raw.value[1:3], rtol=1e-12)
    np.testing.assert_allclose(subset.standard_error[:2], raw.standard_error[1:3], rtol=1e-12)
