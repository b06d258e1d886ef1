"""Panels from names, saved panels and files."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

import crosstrait as ct
from crosstrait.panel import PartialOverlapWarning
from support.raw_cross import write_raw_cross
from support.tables import TRAITS, write_tables


def test_a_folder_of_plain_tables_becomes_a_panel(tmp_path: Path) -> None:
    panel = ct.load_panel(write_tables(tmp_path))
    assert dict(panel.sizes) == {"samples": 4, "variants": 3, "traits": 2, "alleles": 2}
    assert panel.attrs["ploidy"] == 1
    assert panel.attrs["source"] == str(tmp_path / "genotypes.csv")
    np.testing.assert_array_equal(panel["trait_value"].values[:, 1], [10, np.nan, 12, 11])


def test_genotypes_and_traits_may_lie_apart_under_any_name(tmp_path: Path) -> None:
    folder = write_tables(tmp_path / "a")
    (tmp_path / "pheno.txt").write_text(TRAITS.replace(",", "\t"))
    (folder / "genotypes.csv").rename(folder / "calls.csv")
    (folder / "traits.csv").unlink()
    panel = ct.panel.import_source(folder / "calls.csv", traits=tmp_path / "pheno.txt")
    assert panel["trait_name"].values.tolist() == ["height", "yield"]


def test_an_imported_panel_opens_equal_and_as_a_source(tmp_path: Path) -> None:
    folder = write_tables(tmp_path / "in")
    panel = ct.panel.import_source(folder, out=tmp_path / "p.zarr", ploidy=2)
    assert ct.load_panel(tmp_path / "p.zarr").identical(panel)
    assert ct.load_panel(str(tmp_path / "p.zarr")).attrs["ploidy"] == 2


def test_the_storage_does_not_change_the_digest(tmp_path: Path) -> None:
    folder = write_tables(tmp_path / "in")
    moved = write_tables(tmp_path / "elsewhere")
    panel = ct.panel.import_source(folder, out=tmp_path / "p.zarr")
    assert panel.attrs["digest"] == ct.load_panel(moved).attrs["digest"]
    assert panel.attrs["digest"] == ct.load_panel(tmp_path / "p.zarr").attrs["digest"]


def test_the_raw_cross_becomes_a_panel_with_standard_errors(tmp_path: Path) -> None:
    probability = np.random.default_rng(0).random((40, 8))
    tables = write_raw_cross(tmp_path, probability, n_files=3, environments=("li", "23C"))
    panel = ct.load_panel(tmp_path)
    assert panel["call_dosage"].dtype == np.float16
    assert panel["trait_name"].values.tolist() == ["23C", "li"]
    np.testing.assert_array_equal(panel["trait_se"].values[:, 1], tables["li"][:, 1])
    np.testing.assert_allclose(panel["call_dosage"].values, probability, atol=5e-4)


def test_one_file_of_the_raw_cross_warns_of_the_segregants_it_lacks(tmp_path: Path) -> None:
    write_raw_cross(tmp_path, np.full((40, 8), 0.5), n_files=2)
    with pytest.warns(PartialOverlapWarning, match="20 samples .* 20 with traits only"):
        panel = ct.load_panel(tmp_path / "geno_data_2.txt")
    assert panel["sample_id"].values[0] == "20"


def test_the_published_split_arrives_in_the_panel(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for part, n in {"train": 5, "val": 2, "test": 3}.items():
        np.save(tmp_path / f"geno_{part}.npy", rng.choice([-1.0, 1.0], (n, 4)))
        np.save(tmp_path / f"pheno_{part}.npy", rng.normal(size=(n, 18)))
    panel = ct.load_panel(tmp_path)
    assert panel["sample_split"].values.tolist() == (
        ["train"] * 5 + ["validation"] * 2 + ["test"] * 3
    )
    assert panel.sizes["traits"] == 18


def test_genotypes_are_loaded_without_traits_from_any_source(tmp_path: Path) -> None:
    folder = write_tables(tmp_path / "in")
    panel = ct.panel.import_source(folder, out=tmp_path / "p.zarr")
    (folder / "traits.csv").unlink()
    for source in (folder, folder / "genotypes.csv", tmp_path / "p.zarr"):
        genotypes = ct.panel.load_genotypes(source)
        np.testing.assert_array_equal(genotypes.dosage, panel["call_dosage"].values)
        assert genotypes.variant_id.tolist() == panel["variant_id"].values.tolist()


def test_a_data_set_name_wins_over_a_folder_of_that_name(
    real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tables(tmp_path / "bbq_li")
    monkeypatch.chdir(tmp_path)
    assert ct.load_panel("bbq_li").sizes["variants"] == 83
    assert ct.load_panel("./bbq_li").sizes["variants"] == 3


def test_the_2013_cross_loads_whole_and_fast_by_name(real_data: Path) -> None:
    ct.panel.import_source  # noqa: B018  (the libraries, once)
    start, load = time.process_time(), os.getloadavg()[0]
    panel = ct.load_panel("byxrm")
    seconds = time.process_time() - start
    assert dict(panel.sizes) == {"samples": 1008, "variants": 11_623, "traits": 46, "alleles": 2}
    assert panel["call_dosage"].dtype == np.float32
    assert seconds < 3, f"{seconds:.1f} s of processor time at load {load:.1f}"


def test_the_lithium_set_loads_by_name_with_its_standard_errors(real_data: Path) -> None:
    panel = ct.load_panel("bbq_li")
    assert dict(panel.sizes) == {"samples": 19_833, "variants": 83, "traits": 1, "alleles": 2}
    assert panel["trait_name"].values.tolist() == ["li"]
    assert not np.isnan(panel["trait_se"].values).any()
