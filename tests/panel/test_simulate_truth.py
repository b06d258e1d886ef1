from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from crosstrait.errors import DataError, StorageError
from crosstrait.panel.simulate import Truth, demo_config, simulate


@pytest.fixture(scope="module")
def truth() -> Truth:
    return simulate(demo_config(n_samples=60, n_loci=50))[1]


def test_the_truth_survives_its_file(truth: Truth, tmp_path: Path) -> None:
    truth.save(tmp_path / "truth.safetensors")
    again = Truth.load(tmp_path / "truth.safetensors")
    assert again.config == truth.config
    assert again.panel_digest == truth.panel_digest
    for name in ("effect", "intercept", "hubs", "pairs", "pair_effect", "triples", "triple_effect"):
        np.testing.assert_array_equal(getattr(again, name), getattr(truth, name))
    np.testing.assert_array_equal(again.genetic_value, truth.genetic_value)
    np.testing.assert_array_equal(again.attainable_r2, truth.attainable_r2)
    assert [path.name for path in tmp_path.iterdir()] == ["truth.safetensors"]


def test_a_perfect_predictor_of_noiseless_traits_reaches_one() -> None:
    config = demo_config(n_samples=60, n_loci=50, additive=1.0, epistasis=None)
    truth = simulate(config)[1]
    np.testing.assert_array_equal(truth.attainable_r2, 1)
    np.testing.assert_array_equal(truth.attainable_additive_r2, 1)


def test_a_file_that_is_absent_or_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no truth of a simulated panel"):
        Truth.load(tmp_path / "absent")
    (tmp_path / "other").write_bytes(b"\x05" + bytes(40))
    with pytest.raises(DataError, match="is not the truth of a simulated panel"):
        Truth.load(tmp_path / "other")


def test_a_folder_that_is_not_there_is_named(truth: Truth, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"could not be written to .*absent"):
        truth.save(tmp_path / "absent" / "truth.safetensors")
