from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from crosstrait.errors import DataError
from crosstrait.panel.schema import Panel, from_arrays, genotypes_of
from crosstrait.panel.storage import save_panel
from crosstrait.split.manifest import from_ids
from crosstrait.training.elsewhere import LociWarning
from crosstrait.training.fit import fit
from crosstrait.training.fitted import Fitted

N_LOCI = 30
RANDOM = np.random.default_rng(0)
DOSAGE = RANDOM.integers(0, 3, (60, N_LOCI)).astype(np.float32)
VALUES = DOSAGE @ RANDOM.normal(size=(N_LOCI, 2)) + RANDOM.normal(40, 1, (60, 2))
ID = np.array([f"snp{j}" for j in range(N_LOCI)])
ALLELE = np.array([["A", "G"] if j % 2 else ["C", "T"] for j in range(N_LOCI)])
POSITION = np.arange(N_LOCI) * 1000
LOCI = {"variant_id": ID, "variant_allele": ALLELE, "variant_position": POSITION}


def panel(dosage: np.ndarray = DOSAGE, *, order: Any = slice(None), **changes: Any) -> Panel:
    """The panel, or one like it; ``order`` chooses and orders its loci."""
    ploidy = changes.pop("ploidy", 2)
    loci = {name: values[order] for name, values in {**LOCI, **changes}.items()}
    return from_arrays(
        dosage[:, order], trait_value=VALUES, trait_names=["a", "b"], ploidy=ploidy, **loci
    )


PANEL = panel()
IDS = PANEL["sample_id"].values
SPLIT = from_ids(train=IDS[:40], validation=IDS[40:50], test=IDS[50:])
SHUFFLED = RANDOM.permutation(N_LOCI)
TURNED = np.where(np.arange(N_LOCI)[:, None] < 7, ALLELE[:, ::-1], ALLELE)
COUNTED = np.where(np.arange(N_LOCI) < 7, 2 - DOSAGE, DOSAGE)


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    return fit("ridge", PANEL, SPLIT, prune_r=0.95)


def test_loci_in_another_order_with_swapped_alleles_give_the_same_numbers(fitted: Fitted) -> None:
    elsewhere = panel(COUNTED, order=SHUFFLED, variant_allele=TURNED)
    table = fitted.predict_panel(elsewhere)
    assert table.index.tolist() == IDS.tolist()
    assert table.columns.tolist() == ["a", "b"]
    np.testing.assert_allclose(table, fitted.predict(DOSAGE), rtol=1e-6)


def test_genotypes_alone_are_predicted_as_a_panel_is(fitted: Fitted) -> None:
    elsewhere = panel(COUNTED, order=SHUFFLED, variant_allele=TURNED)
    table = fitted.predict_panel(genotypes_of(elsewhere), level=0.8)
    pd.testing.assert_frame_equal(table, fitted.predict_panel(elsewhere, level=0.8))


def test_what_is_neither_a_panel_nor_genotypes_is_refused(fitted: Fitted) -> None:
    with pytest.raises(DataError, match=r"a panel is needed, got 'new\.csv'"):
        fitted.predict_panel("new.csv")  # type: ignore[arg-type]


def test_a_model_names_itself_on_one_line(fitted: Fitted) -> None:
    assert repr(fitted) == "<Fitted ridge: a, b from 30 loci, ploidy 2>"


def test_intervals_stand_beside_their_trait(fitted: Fitted) -> None:
    table = fitted.predict_panel(panel(order=SHUFFLED), level=0.8)
    lower, upper = fitted.predict_interval(DOSAGE, level=0.8)
    np.testing.assert_allclose(table["b lower"], lower[:, 1], rtol=1e-6)
    np.testing.assert_allclose(table["b upper"], upper[:, 1], rtol=1e-6)


def test_missing_loci_take_their_means_with_a_warning_and_too_many_are_refused(
    fitted: Fitted,
) -> None:
    with pytest.warns(LociWarning, match="2 of 30 loci are not in the new genotypes.*snp0, snp1"):
        table = fitted.predict_panel(panel(order=slice(2, None)))
    holes = DOSAGE.copy()
    holes[:, :2] = np.nan
    np.testing.assert_allclose(table, fitted.predict(holes), rtol=1e-6)
    with pytest.raises(DataError, match=r"lacks 10 of the 30 loci .*snp0, snp1"):
        fitted.predict_panel(panel(order=slice(10, None)))


def test_other_alleles_and_another_ploidy_are_refused(fitted: Fitted) -> None:
    other = ALLELE.copy()
    other[3] = "A", "C"
    with pytest.raises(DataError, match=r"1 loci have other alleles .*snp3: A/C where .* has A/G"):
        fitted.predict_panel(panel(variant_allele=other))
    with pytest.raises(DataError, match="has ploidy 4, the model was trained on ploidy 2"):
        fitted.predict_panel(panel(ploidy=4))


def test_loci_of_one_name_in_another_place_are_warned_of(fitted: Fitted) -> None:
    moved = POSITION + np.where(np.arange(N_LOCI) == 4, 77, 0)
    with pytest.warns(LociWarning, match=r"1 of 30 loci lie elsewhere .*snp4 \(:4077, not :4000"):
        fitted.predict_panel(panel(variant_position=moved))


def test_ids_alone_are_a_doubt_only_where_one_side_knows_more(fitted: Fitted) -> None:
    unknown = np.full((N_LOCI, 2), "")
    with pytest.warns(LociWarning, match="30 loci were matched by id alone"):
        fitted.predict_panel(panel(variant_allele=unknown))
    plain = panel(variant_allele=unknown)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit("ridge", plain, SPLIT).predict_panel(plain)


PROGRAM = """
import sys, crosstrait as ct
from pathlib import Path
folder = Path(sys.argv[1])
model = ct.load_model(folder / "model")
model.predict_panel(ct.load_panel(folder / "elsewhere.zarr"), level=0.9).to_csv(folder / "t.csv")
for name in ("alleles", "ploidy", "few"):
    try:
        model.predict_panel(ct.load_panel(folder / f"{name}.zarr"))
    except ct.errors.CrosstraitError as error:
        print(name, error)
"""


def test_a_fresh_process_predicts_a_panel_of_another_source(fitted: Fitted, tmp_path: Path) -> None:
    fitted.save(tmp_path / "model")
    other = ALLELE.copy()
    other[3] = "A", "C"
    for name, one in {
        "elsewhere": panel(COUNTED, order=SHUFFLED, variant_allele=TURNED),
        "alleles": panel(variant_allele=other),
        "ploidy": panel(ploidy=4),
        "few": panel(order=slice(10, None)),
    }.items():
        save_panel(one, tmp_path / f"{name}.zarr")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    table = pd.read_csv(tmp_path / "t.csv", index_col="sample")
    np.testing.assert_allclose(table[["a", "b"]], fitted.predict(DOSAGE), rtol=1e-6)
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["alleles", "ploidy", "few"]
