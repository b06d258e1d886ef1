"""Families and groups of samples, from a table to a split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import crosstrait as ct
from crosstrait.cli import run_command
from crosstrait.errors import DataError
from crosstrait.panel.groups import read_groups
from support.tables import write_tables

FAMILIES = "sample,family\ns3,B\ns1,A\ns4,B\ns2,A\ns9,C\n"


def families(folder: Path, text: str = FAMILIES) -> Path:
    path = folder / "families.csv"
    path.write_text(text)
    return path


def test_groups_of_a_table_reach_the_saved_panel_and_its_split(tmp_path: Path) -> None:
    table = families(tmp_path)
    out = tmp_path / "p.zarr"
    source = str(write_tables(tmp_path / "in"))
    assert run_command(["import", source, "--groups", str(table), "--out", str(out)]) == 0
    panel = ct.load_panel(out)
    assert panel["sample_group"].values.tolist() == ["A", "A", "B", "B"]
    first, second = ct.split.group(panel, folds=2, validation=0)
    assert {frozenset(first.test), frozenset(second.test)} == {
        frozenset(("s1", "s2")),
        frozenset(("s3", "s4")),
    }


@pytest.mark.parametrize("delimiter", ["\t", ";"])
def test_groups_are_read_from_any_delimiter_with_quotes_and_line_ends(
    delimiter: str, tmp_path: Path
) -> None:
    text = '﻿"sample","family"\r\n"s1","A, early"\r\n"s2"," B "\r\n'.replace('","', f'"{delimiter}"')
    assert read_groups(families(tmp_path, text)).of == {"s1": "A, early", "s2": "B"}


def test_files_and_saved_panels_are_loaded_with_groups(tmp_path: Path) -> None:
    folder, table = write_tables(tmp_path / "in"), families(tmp_path)
    plain = ct.panel.import_source(folder, out=tmp_path / "p.zarr")
    from_files = ct.load_panel(folder, groups=table)
    from_saved = ct.load_panel(tmp_path / "p.zarr", groups=table)
    assert from_files.identical(from_saved)
    assert from_files.attrs["digest"] != plain.attrs["digest"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,family\ns1,A\ns2,A\ns3,B\n", r"no group to 1 of 4 samples of the panel: s4; give"),
        ("id,family\nS1,A\nS2,A\nS3,B\nS4,B\n", r"no sample .* ignoring case, 4 of them"),
        ("s1,A\ns2,A\ns3,B\ns4,B\n", r"line 1: 's1' is a sample; the first line names the"),
        ("id,family\ns1,A\ns2,NA\n", r"line 3, column 2: sample 's2' has no group"),
        ("id,family\ns1,A\ns2, \n", r"line 3, column 2: sample 's2' has no group"),
        ("id,family\ns1,A\ns1,B\n", r"line 3, column 1: id 's1' occurs again"),
        ("id,family,year\ns1,A,1\n", r"line 1: 3 columns where 2 are expected"),
        ("id,family\ns1\n", r"line 2: 1 columns where 2 are expected"),
        ("id,family\n", r"a header but no rows"),
        ("id family\ns1 A\n", r"no tab, comma or semicolon"),
        ("", r"is empty"),
    ],
)
def test_what_is_wrong_with_a_table_of_groups_is_named(
    text: str, message: str, tmp_path: Path
) -> None:
    table = families(tmp_path, text)
    with pytest.raises(DataError, match=message) as caught:
        ct.panel.import_source(write_tables(tmp_path / "in"), groups=table, out=tmp_path / "p.zarr")
    assert "families.csv" in str(caught.value)
    assert not (tmp_path / "p.zarr").exists()


def test_a_missing_table_of_groups_is_named_before_anything_is_read(tmp_path: Path) -> None:
    families(tmp_path)
    with pytest.raises(DataError, match=r"family.csv does not exist \(did you mean 'families.csv'"):
        ct.panel.import_source(write_tables(tmp_path / "in"), groups=tmp_path / "family.csv")


@pytest.mark.parametrize(
    "label",
    [
        np.array(["A", "A", "B", "B"]),
        np.array(["A", "A", "B", "B"], dtype=object),
        pd.Series(["A", "A", "B", "B"]).to_numpy(),
        pd.array(["A", "A", "B", "B"], dtype="string"),
        np.array([1, 1, 2, 2]),
    ],
)
def test_groups_that_were_assigned_survive_saving(label: np.ndarray, tmp_path: Path) -> None:
    panel = ct.load_panel(write_tables(tmp_path / "in")).assign(sample_group=("samples", label))
    ct.panel.save_panel(panel, tmp_path / "p.zarr")
    opened = ct.load_panel(tmp_path / "p.zarr")
    assert opened["sample_group"].values.tolist() == [str(value) for value in label]


def test_a_change_that_breaks_a_rule_is_refused_before_anything_is_saved(tmp_path: Path) -> None:
    panel = ct.load_panel(write_tables(tmp_path / "in"))
    twice = panel.assign(sample_id=("samples", np.array(["s1", "s1", "s2", "s3"])))
    with pytest.raises(DataError, match="sample_id must be unique"):
        ct.panel.save_panel(twice, tmp_path / "p.zarr")
    assert not (tmp_path / "p.zarr").exists()


@pytest.mark.parametrize("nothing", [None, np.nan, pd.NA])
def test_a_missing_label_is_no_group(nothing: object, tmp_path: Path) -> None:
    panel = ct.panel.from_arrays(
        np.eye(4),
        trait_value=np.arange(4.0)[:, None],
        trait_names=["t"],
        sample_group=["A", nothing, "B", "B"],  # type: ignore[list-item]
    )
    assert panel["sample_group"].values.tolist() == ["A", "", "B", "B"]
    with pytest.raises(DataError, match=r"1 samples have no group: sample_1; .* import --groups"):
        ct.split.group(panel, folds=2)


def test_a_split_by_group_without_groups_says_how_to_give_them(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"crosstrait import --groups families\.csv") as caught:
        ct.split.group(ct.load_panel(write_tables(tmp_path / "in")))
    assert "kfold" not in str(caught.value)
